"""The section `consistency` of the configuration, and the cells it asks for."""

from functools import cached_property
from typing import Annotated

import pandas as pd
from pydantic import Field

from posinfo.choices import Label, Once, Section, check
from posinfo.experiments.consistency.classify import ClassifyCell
from posinfo.experiments.images import ImagesCell
from posinfo.networks.models.architectures import user_modules
from posinfo.networks.models.weights import weights_key
from posinfo.networks.models.whole_network import WholeNetworkConfig
from posinfo.networks.surgery.legal_size import LARGEST_IMAGE
from posinfo.stimuli.photos import PhotosConfig, manifest_key
from posinfo.stimuli.upright import upright_photographs


class ConsistencyParameters(Section):
    """Which classifiers are asked, and for what.

    Attributes:
        image_size: side in pixels of the windows that a classifier sees.
        max_shift: windows start at 0 to this many pixels on each axis.
        step: pixels between two offsets.
        crops: of each embedded photograph.
        classifiers: by label; each is compared with the first of them.
        only: labels of the classifiers to run; empty: all.
    """

    image_size: int = Field(ge=8, le=LARGEST_IMAGE)
    max_shift: int = Field(ge=1)
    step: int = Field(ge=1)
    crops: int = Field(ge=1)
    classifiers: dict[Label, WholeNetworkConfig] = Field(min_length=1)
    only: Annotated[tuple[str, ...], Once]

    @property
    def offsets(self) -> list[int]:
        """At which windows start, in pixels."""
        return list(range(0, self.max_shift + 1, self.step))


class ConsistencySettings(Section):
    """The sections that consistency reads."""

    photos: PhotosConfig
    consistency: ConsistencyParameters

    @cached_property
    def manifest(self) -> pd.DataFrame:
        """Of the photographs, see ``upright_photographs``."""
        return upright_photographs(self.photos, self.consistency.crops)

    @cached_property
    def cells(self) -> dict[str, WholeNetworkConfig]:
        """The selected classifiers by label; a ``ValueError`` if there is none of a name."""
        known = self.consistency.classifiers
        only = [check("consistency.only", name, known) for name in self.consistency.only]
        return {label: known[label] for label in known if not only or label in only}


def images_cells(settings: ConsistencySettings) -> dict[str, ImagesCell]:
    """The photographs, larger than the windows by the largest shift."""
    section, manifest = settings.consistency, settings.manifest
    side = section.image_size + section.max_shift
    content = manifest_key(manifest)
    return {"photos": ImagesCell(image_size=side, content=content, manifest=manifest)}


def classify_cells(settings: ConsistencySettings) -> dict[str, ClassifyCell]:
    """A cell per classifier."""
    section = settings.consistency
    return {
        label: ClassifyCell(
            inputs={"images": "images/photos"},
            modules=user_modules(classifier.arch),
            parameters={**dict(classifier), "photos": settings.photos, "crops": section.crops},
            classifier=classifier,
            weights=weights_key(
                classifier.arch, classifier.weights, f"consistency.classifiers.{label}.weights"
            ),
            image_size=section.image_size,
            offsets=tuple(section.offsets),
        )
        for label, classifier in settings.cells.items()
    }
