"""What the frame of a crop changes in each map, against the same pixels of the whole picture."""

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from posinfo.experiment import Inputs, Result
from posinfo.experiments.audit.cells import (
    NO_ROWS,
    NetworkCell,
    load,
    picture_batches,
    rows_of,
    strides_of,
    why_not,
)
from posinfo.measures.true_context import ContextError, border_channels, context_errors
from posinfo.networks.models.audited import require_numbers
from posinfo.work import Work


class ContextCell(NetworkCell):
    """A network and the pixels around a crop.

    Attributes:
        picture_size: side in pixels of the pictures that crops are cut from.
    """

    picture_size: int


def run(cell: ContextCell, inputs: Inputs, work: Work) -> Result:
    """The error of each map by distance to the border.

    Returns:
        Rows ``measure, where, photograph, value``: ``context_error``, of each map ``where`` on its
        outermost ring; ``border_channels``, the share of channels that tell a border, with no
        photograph. Tensors ``rings.MAP`` (p, r), the error of each ring for each of p photographs;
        ``mean_map.MAP`` (h, w). In ``facts``: ``context`` in pixels, the ``photographs``, the
        ``strides``, and why nothing is measured, ``refused``; empty: it is.
    """
    structure, pictures = inputs["structure"], inputs["pictures"]
    observed, strides = load(cell, work), strides_of(structure)
    period = structure.facts["period"]
    context = (cell.picture_size - cell.image_size) // 2 // period * period
    side = cell.image_size + 2 * context
    names = pictures.table.photograph.tolist()
    refused = why_not(observed, side, work) if strides else "the network has no maps"
    if not context:
        refused = f"audit.picture_size leaves less than {period} px around a crop"
    if refused:
        return Result(rows=NO_ROWS, facts={"refused": refused, "context": 0})
    found: dict[str, list[ContextError]] = {name: [] for name in strides}
    for of_batch, images in picture_batches(cell, pictures, side, work):
        for name, errors in context_errors(observed, images, context, strides).items():
            require_numbers({name: errors.rings}, of_batch)
            found[name].append(errors)
    rows, tensors = [], {}
    for name, errors in found.items():
        rings, border, maps = (torch.cat(each) for each in zip(*errors, strict=True))
        rows.append(rows_of(names, "context_error", name, rings[:, 0]))
        telling = border_channels(_by_photograph(border, names)).mean()
        rows.append(rows_of([""], "border_channels", name, torch.tensor([telling])))
        tensors[f"rings.{name}"] = torch.from_numpy(_by_photograph(rings, names))
        tensors[f"mean_map.{name}"] = maps.mean(0)
    photographs = list(dict.fromkeys(names))
    facts = {"context": context, "photographs": photographs, "strides": strides, "refused": ""}
    return Result(tensors=tensors, rows=pd.concat(rows, ignore_index=True), facts=facts)


def _by_photograph(values: Float[Tensor, "n k"], names: list[str]) -> Float[np.ndarray, "p k"]:
    """The mean over the images of each photograph."""
    shown = np.array(names)
    means = [values.numpy()[shown == name].mean(0) for name in dict.fromkeys(names)]
    return np.stack(means)
