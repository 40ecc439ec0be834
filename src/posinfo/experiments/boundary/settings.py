"""The section `boundary` of the configuration, and the rows of its tables."""

from collections.abc import Iterator
from functools import cached_property
from typing import Annotated, Any, NamedTuple

import pandas as pd

from posinfo.choices import Once, Section, check
from posinfo.experiments.boundary.parts import (
    CanvasesParameters,
    DistanceParameters,
    PatchLocationParameters,
    RedGreenParameters,
    ShiftsParameters,
)
from posinfo.experiments.measured_split import MeasuredSplit
from posinfo.stimuli.photo_splits import three_splits
from posinfo.stimuli.photos import PhotosConfig
from posinfo.stimuli.upright import upright_photographs


class BoundaryParameters(Section):
    """The parts of the study.

    Attributes:
        patch_location, red_green, distance, shifts, canvases: the parts.
        split: the images that shifts and canvases are measured on.
        only: names of parts, or labels of rows; empty: all.
    """

    patch_location: PatchLocationParameters
    distance: DistanceParameters
    red_green: RedGreenParameters
    shifts: ShiftsParameters
    canvases: CanvasesParameters
    split: MeasuredSplit
    only: Annotated[tuple[str, ...], Once]


class Row(NamedTuple):
    """A row of one of the tables.

    Attributes:
        part: one of ``PARTS``.
        name: within its part.
        value: what the part says of it.
    """

    part: str
    name: str
    value: Any


class BoundarySettings(Section):
    """The sections that boundary reads."""

    photos: PhotosConfig
    boundary: BoundaryParameters

    @cached_property
    def cells(self) -> dict[str, Row]:
        """The selected rows by label; a ``ValueError`` says why one cannot be."""
        every = {f"{row.part}-{row.name}": row for row in self._rows()}
        only = self.boundary.only
        for name in only:
            check("boundary.only", name, [*PARTS, *every])
        return {
            label: row
            for label, row in every.items()
            if not only or label in only or row.part in only
        }

    def of(self, part: str) -> dict[str, Any]:
        """The selected rows of a part by name."""
        return {row.name: row.value for row in self.cells.values() if row.part == part}

    def labels(self, part: str) -> dict[str, str]:
        """Name of each selected row of a part by its label."""
        return {label: row.name for label, row in self.cells.items() if row.part == part}

    @cached_property
    def tiles(self) -> dict[str, pd.DataFrame]:
        """Manifests of the tiles of part 2 by split."""
        section = self.boundary.distance
        crops = {"train_crops": section.train_tiles, "test_crops": section.test_tiles}
        return three_splits(self.photos.model_copy(update=crops))

    @cached_property
    def pictures(self) -> pd.DataFrame:
        """Manifest of the photographs that reach is measured on, a crop of each."""
        return upright_photographs(self.photos, 1)

    def _rows(self) -> Iterator[Row]:
        section = self.boundary
        for padding in section.patch_location.paddings:
            yield Row("patch_location", padding, padding)
        for label, network in section.distance.networks.items():
            yield Row("distance", label, network)
        for padding in section.red_green.paddings:
            yield Row("red_green", padding, padding)
        for method in section.shifts.methods:
            yield Row("shifts", method, method)
        for label, cell in section.canvases.cells().items():
            yield Row("canvases", label, cell)
        for size in section.shifts.efficiency:
            for method in section.shifts.efficiency_methods:
                yield Row("data_efficiency", f"{method}-{size.name}", (method, size))


PARTS = ("patch_location", "distance", "red_green", "shifts", "canvases", "data_efficiency")
