"""What the steps of an audit have in common: a network, its images, and how it is run on them."""

from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from posinfo.experiment import Cell, Result
from posinfo.networks.models.audited import AuditedConfig
from posinfo.networks.models.normalisation import normalise
from posinfo.networks.readouts.features import batch_size
from posinfo.networks.surgery.observed import OUTPUT, Observed
from posinfo.work import Work


class NetworkCell(Cell):
    """A network and the size of its images.

    Attributes:
        network: what is audited.
        weights: key of what the source of the weights holds.
        image_size: side in pixels.
    """

    network: AuditedConfig
    weights: str
    image_size: int

    def check(self) -> None:
        """See ``AuditedConfig.check``."""
        self.network.check(self.image_size)


class JudgeCell(NetworkCell):
    """What is said of a network.

    Attributes:
        label: of the network.
        offsets: see ``AnswersCell``.
        patterns: see ``PositionCell``.
        tolerance: error below which a map counts as the same.
        fail_if: conditions, see ``parse_gate``.
        protocol: what numbers depend on besides the network.
        baseline: an earlier audit.json; empty: there is none.
        baseline_tolerance: by how much a number may be worse than there.
    """

    label: str
    offsets: tuple[int, ...]
    patterns: tuple[str, ...]
    tolerance: float
    fail_if: tuple[str, ...]
    protocol: dict[str, Any]
    baseline: dict[str, Any]
    baseline_tolerance: float


def load(cell: NetworkCell, work: Work) -> Observed:
    """The network on the device of the work, in float32: rounded answers would differ for that."""
    observed = cell.network.load(cell.image_size).to(work.device, torch.float32)
    return observed.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def picture_batches(
    cell: NetworkCell, pictures: Result, side: int, work: Work
) -> Iterator[tuple[list[str], Float[Tensor, "n 3 s s"]]]:
    """Photographs' names and normalised pixels from the middle of each picture, a batch at a time.

    Args:
        cell: says how the images are normalised.
        pictures: a result of ``posinfo.experiments.images``.
        side: of what is taken of each picture, in pixels.
        work: has the device; ``on_total`` and ``on_progress`` count pictures.
    """
    pixels, names = pictures.arrays["pixels"], pictures.table.photograph.tolist()
    start = (pixels.shape[2] - side) // 2
    size = max(1, batch_size(work.device) * cell.image_size**2 // side**2)
    work.on_total(len(pixels))
    for first in range(0, len(pixels), size):
        taken = pixels[first : first + size, :, start : start + side, start : start + side]
        images = torch.from_numpy(taken.copy()).to(work.device)
        shown = normalise(images, "imagenet", cell.network.colours)
        yield names[first : first + size], shown.contiguous(memory_format=torch.channels_last)
        work.on_progress(len(images))


def strides_of(structure: Result) -> dict[str, int]:
    """Pixels of the image per pixel of the map, of every map that has a stride."""
    reaches: Mapping[str, list] = structure.facts["reaches"]
    return {name: reach[0] for name, reach in reaches.items() if reach[0] is not None}


def deepest_map(structure: Result) -> str | None:
    """The map that tiles are judged by: the output, or the last layer that has one; None: none."""
    strides = strides_of(structure)
    if OUTPUT in strides:
        return OUTPUT
    return list(strides)[-1] if strides else None


def why_not(observed: Observed, height: int, work: Work, width: int | None = None) -> str:
    """Why a network takes no images of a size; empty: it does.

    Args:
        observed: the network.
        height: of the images in pixels.
        work: has the device.
        width: the same; None: they are squares.
    """
    size = (height, width or height)
    try:
        with torch.inference_mode():
            observed(torch.zeros(1, 3, *size, device=work.device))
    except (RuntimeError, AssertionError, ValueError) as error:  # as networks refuse sizes
        return f"images of {size[0]}x{size[1]} px: {error}"
    return ""


def rows_of(
    names: list[str], measure: str, where: str, values: Float[Tensor, " n"]
) -> pd.DataFrame:
    """A row per image: ``measure, where, photograph, value``."""
    return pd.DataFrame(
        {"measure": measure, "where": where, "photograph": names, "value": values.tolist()}
    )


COLUMNS = ["measure", "where", "photograph", "value"]
NO_ROWS = pd.DataFrame({name: [] for name in COLUMNS}).astype({"value": float})
