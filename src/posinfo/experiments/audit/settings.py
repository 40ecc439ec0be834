"""The section `audit` of the configuration, and the cells it asks for."""

from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
from pydantic import Field, model_validator

from posinfo.choices import Label, Once, Section, check
from posinfo.experiments.audit.answers import AnswersCell
from posinfo.experiments.audit.cells import JudgeCell, NetworkCell
from posinfo.experiments.audit.context import ContextCell
from posinfo.experiments.audit.features import FeaturesCell
from posinfo.experiments.audit.gates import Gates, parse_gate
from posinfo.experiments.audit.position import PositionCell
from posinfo.experiments.audit.tiles import TilesCell
from posinfo.experiments.audit.verdict import read_baseline
from posinfo.experiments.images import ImagesCell
from posinfo.networks.models.audited import AuditedConfig
from posinfo.networks.readouts.config import RidgeConfig
from posinfo.networks.surgery.legal_size import LARGEST_IMAGE
from posinfo.networks.surgery.padding import PaddingName
from posinfo.plan import differences
from posinfo.stimuli.patterns import PatternName
from posinfo.stimuli.photos import PhotosConfig, manifest_key, photo_manifests
from posinfo.stimuli.upright import upright_photographs


class PositionParameters(Section):
    """What is read from the maps of each layer.

    Attributes:
        patterns: keys of ``PATTERNS``; the last one is the control.
        train_crops: of the embedded train photographs, that readouts are fitted to.
        test_crops: of the embedded test photographs, that they are measured on.
        feature_size: side in pixels to which every map is resized.
        ridge: see ``RidgeConfig``.
    """

    patterns: Annotated[tuple[PatternName, ...], Field(min_length=1), Once]
    train_crops: int = Field(ge=2)
    test_crops: int = Field(ge=1)
    feature_size: int = Field(ge=2)
    ridge: RidgeConfig


class AuditParameters(Section):
    """Which networks are audited, and how.

    Attributes:
        image_size: side in pixels of the images that a network sees.
        picture_size: side in pixels of the pictures that images and tiles are cut from.
        crops: upright pictures of each embedded photograph.
        max_shift: windows start at 0 to this many pixels on each axis.
        step: pixels between two offsets.
        margins: pixels beyond the cut that a tile gets, ascending.
        batch_padding: rows and columns of zeros that a batch appends, in pixels.
        paddings: that each network is given without fine-tuning.
        tolerance: relative error of a map below which it counts as the same.
        position: what is read from the maps.
        networks: by label.
        fail_if: conditions on numbers of the audit, such as ``consistency<0.95``.
        baseline: path of an earlier audit.json of the same network; None: there is none.
        baseline_tolerance: by how much a number may be worse than there.
        only: labels of the networks to audit; empty: all.
    """

    image_size: int = Field(ge=8, le=LARGEST_IMAGE)
    picture_size: int = Field(ge=8, le=LARGEST_IMAGE)
    crops: int = Field(ge=1)
    max_shift: int = Field(ge=1)
    step: int = Field(ge=1)
    margins: Annotated[tuple[Annotated[int, Field(ge=0)], ...], Field(min_length=2), Once]
    batch_padding: int = Field(ge=1)
    paddings: Annotated[tuple[PaddingName, ...], Once]
    tolerance: float = Field(gt=0)
    position: PositionParameters
    networks: dict[Label, AuditedConfig] = Field(min_length=1)
    fail_if: Gates
    baseline: Path | None
    baseline_tolerance: float = Field(ge=0)
    only: Annotated[tuple[str, ...], Once]

    @property
    def offsets(self) -> tuple[int, ...]:
        """At which windows start, in pixels."""
        return tuple(range(0, self.max_shift + 1, self.step))

    @model_validator(mode="after")
    def _pictures_are_large_enough(self) -> "AuditParameters":
        needed = self.image_size + self.max_shift
        if self.picture_size < needed:
            raise ValueError(
                f"picture_size must be at least image_size + max_shift, {needed} px; "
                f"got {self.picture_size}"
            )
        if self.step > self.max_shift:
            raise ValueError(
                f"step {self.step} must be at most max_shift {self.max_shift}: one offset alone "
                "always agrees with itself"
            )
        parts = {"repadding": self.paddings, "tile_error": tuple(map(str, self.margins))}
        for gate in map(parse_gate, self.fail_if):
            measure, _, part = gate.name.partition(".")
            if part and measure in parts:
                check(f"fail_if {measure}", part, parts[measure])
        if list(self.margins) != sorted(self.margins):
            raise ValueError(f"margins must ascend; got {list(self.margins)}")
        return self


class AuditSettings(Section):
    """The sections that audit reads."""

    photos: PhotosConfig
    audit: AuditParameters

    @cached_property
    def cells(self) -> dict[str, AuditedConfig]:
        """The selected networks by label; a ``ValueError`` if there is none of a name."""
        known = self.audit.networks
        only = [check("audit.only", name, known) for name in self.audit.only]
        return {label: known[label] for label in known if not only or label in only}

    @cached_property
    def pictures(self) -> pd.DataFrame:
        """The manifest of the pictures, see ``upright_photographs``."""
        return upright_photographs(self.photos, self.audit.crops)

    @cached_property
    def manifests(self) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Of the images that readouts are fitted to and measured on, see ``photo_manifests``."""
        crops = self.audit.position.model_dump(include={"train_crops", "test_crops"})
        return photo_manifests(self.photos.model_copy(update=crops))

    def baseline_of_all(self) -> dict[str, Any]:
        """The earlier audit that numbers are compared with; empty: there is none.

        Raises:
            FileNotFoundError, ValueError: see ``read_baseline``; it is of another network, or there
                are several networks.
        """
        path = self.audit.baseline
        if path is None:
            return {}
        found = read_baseline(path, "audit.baseline")
        if len(self.cells) > 1:
            raise ValueError("audit.baseline is of one network: name it in audit.only")
        (network,) = self.cells.values()
        if found["network"] != network.model_dump(mode="json"):
            raise ValueError(f"audit.baseline: {path} is of another network: {found['network']}")
        other = differences(found["protocol"], self.protocol)
        if other:
            raise ValueError(f"audit.baseline: {path} was measured otherwise: {', '.join(other)}")
        return found

    def network_fields(self, label: str) -> dict[str, Any]:
        """What every cell of a network has."""
        network = self.cells[label]
        shown = network.model_dump(mode="json", exclude={"layers"})
        return {
            "modules": network.modules,
            "parameters": {**shown, **self._shared, "photos": self.photos},
            "network": network,
            "weights": network.key(f"audit.networks.{label}.weights"),
            "image_size": self.audit.image_size,
        }

    @property
    def protocol(self) -> dict[str, Any]:
        """What numbers depend on besides the network, as JSON values."""
        position = self.audit.position.model_dump(mode="json")
        train, test = map(manifest_key, self.manifests)
        shown = {"pictures": manifest_key(self.pictures), "train": train, "test": test}
        return {**self._shared, "position": position, "photographs": shown}

    @property
    def _shared(self) -> dict[str, Any]:
        other = {"networks", "only", "fail_if", "baseline", "baseline_tolerance", "position"}
        return self.audit.model_dump(mode="json", exclude=other)


def images_cells(settings: AuditSettings) -> dict[str, ImagesCell]:
    """``pictures``, upright; ``train`` and ``test`` images for readouts."""
    section, (train, test) = settings.audit, settings.manifests
    sets = (
        ("pictures", section.picture_size, settings.pictures),
        ("train", section.image_size, train),
        ("test", section.image_size, test),
    )
    return {
        name: ImagesCell(image_size=side, content=manifest_key(each), manifest=each)
        for name, side, each in sets
    }


def structure_cells(settings: AuditSettings) -> dict[str, NetworkCell]:
    """A cell per network; a baseline that cannot be compared with is refused here, at once."""
    settings.baseline_of_all()
    return {label: NetworkCell(**settings.network_fields(label)) for label in settings.cells}


def features_cells(settings: AuditSettings) -> dict[str, FeaturesCell]:
    """A cell per network and set of images."""
    return {
        f"{label}.{split}": FeaturesCell(
            inputs={"images": f"images/{split}"},
            feature_size=settings.audit.position.feature_size,
            **settings.network_fields(label),
        )
        for label in settings.cells
        for split in ("train", "test")
    }


def position_cells(settings: AuditSettings) -> dict[str, PositionCell]:
    """A cell per network."""
    position = settings.audit.position
    return {
        label: PositionCell(
            inputs={
                "train": f"features/{label}.train", "test": f"features/{label}.test",
                "train_images": "images/train", "test_images": "images/test",
            },
            feature_size=position.feature_size,
            patterns=position.patterns,
            ridge=position.ridge,
            **settings.network_fields(label),
        )
        for label in settings.cells
    }  # fmt: skip


def context_cells(settings: AuditSettings) -> dict[str, ContextCell]:
    """A cell per network."""
    return {
        label: ContextCell(
            inputs=_inputs(label),
            picture_size=settings.audit.picture_size,
            **settings.network_fields(label),
        )
        for label in settings.cells
    }


def tiles_cells(settings: AuditSettings) -> dict[str, TilesCell]:
    """A cell per network."""
    return {
        label: TilesCell(
            inputs=_inputs(label),
            picture_size=settings.audit.picture_size,
            margins=settings.audit.margins,
            **settings.network_fields(label),
        )
        for label in settings.cells
    }


def answers_cells(settings: AuditSettings) -> dict[str, AnswersCell]:
    """A cell per network."""
    section = settings.audit
    return {
        label: AnswersCell(
            inputs=_inputs(label),
            offsets=section.offsets,
            batch_padding=section.batch_padding,
            paddings=section.paddings,
            **settings.network_fields(label),
        )
        for label in settings.cells
    }


def judge_cells(settings: AuditSettings) -> dict[str, JudgeCell]:
    """A cell per network."""
    section, steps = settings.audit, ("structure", "position", "context", "tiles", "answers")
    return {
        label: JudgeCell(
            inputs={step: f"{step}/{label}" for step in steps},
            label=label,
            offsets=section.offsets,
            patterns=section.position.patterns,
            tolerance=section.tolerance,
            fail_if=section.fail_if,
            protocol=settings.protocol,
            baseline=settings.baseline_of_all(),
            baseline_tolerance=section.baseline_tolerance,
            **settings.network_fields(label),
        )
        for label in settings.cells
    }


def _inputs(label: str) -> dict[str, str]:
    return {"structure": f"structure/{label}", "pictures": "images/pictures"}
