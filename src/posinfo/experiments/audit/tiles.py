"""How far tiles differ from the whole picture, by the pixels that they share."""

import pandas as pd
import torch

from posinfo.experiment import Inputs, Result
from posinfo.experiments.audit.cells import (
    NO_ROWS,
    NetworkCell,
    deepest_map,
    load,
    picture_batches,
    rows_of,
    strides_of,
    why_not,
)
from posinfo.measures.tiles import SeamError, seam_errors
from posinfo.networks.models.audited import require_numbers
from posinfo.work import Work


class TilesCell(NetworkCell):
    """A network and its tiles.

    Attributes:
        picture_size: side in pixels of the pictures that are cut in the middle.
        margins: pixels beyond the cut that each tile gets.
    """

    picture_size: int
    margins: tuple[int, ...]


def run(cell: TilesCell, inputs: Inputs, work: Work) -> Result:
    """The error of two tiles put together, for each margin.

    Returns:
        Rows ``measure, where, photograph, value``, with the margin as ``where``: each field of
        ``SeamError``. In ``facts``: the ``map`` that is compared, the ``margins`` that are whole
        multiples of the network's period and leave no gap, and why nothing is measured,
        ``refused``; empty: it is.
    """
    structure, pictures = inputs["structure"], inputs["pictures"]
    observed, name = load(cell, work), deepest_map(structure)
    period = structure.facts["period"]
    side = cell.picture_size // (2 * period) * 2 * period
    margins = [m for m in cell.margins if m % period == 0 and m < side // 2]
    names = pictures.table.photograph.tolist()
    widths = [side, *(side // 2 + margin for margin in margins)]
    reasons = [why_not(observed, side, work, width) for width in widths if name]
    refused = next(filter(None, reasons), "") if name else "the network has no maps"
    if len(margins) < 2:
        refused = f"fewer than two of audit.margins are multiples of {period} below {side // 2} px"
    if refused or name is None:
        return Result(rows=NO_ROWS, facts={"refused": refused, "map": name, "margins": []})
    stride = strides_of(structure)[name]
    found = []
    for of_batch, images in picture_batches(cell, pictures, side, work):
        found.append(seam_errors(observed, images, name, stride, margins))
        require_numbers({f"{name} of tiles": found[-1].error}, of_batch)
    joined = SeamError(*(torch.cat(each) for each in zip(*found, strict=True)))
    closed = [index for index in range(len(margins)) if not joined.error[:, index].isinf().any()]
    if not closed:
        reason = "without padding, tiles leave a gap at each of audit.margins"
        return Result(rows=NO_ROWS, facts={"refused": reason, "map": name, "margins": []})
    rows = [
        rows_of(names, measure, str(margins[index]), values[:, index])
        for measure, values in joined._asdict().items()
        for index in closed
    ]
    fitting = [margins[index] for index in closed]
    facts = {"refused": "", "map": name, "margins": fitting}
    return Result(rows=pd.concat([NO_ROWS, *rows], ignore_index=True), facts=facts)
