"""How the answer of a network changes with the frame around the image, and with nothing else."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from posinfo.experiment import Inputs, Result
from posinfo.experiments.audit.cells import (
    NO_ROWS,
    NetworkCell,
    load,
    picture_batches,
    rows_of,
    strides_of,
)
from posinfo.measures.answers import (
    Answers,
    answers_by_offset,
    changes,
    padded_batch,
    shifted_errors,
)
from posinfo.measures.consistency import agreement_by_offset, exact_consistency
from posinfo.networks.models.audited import require_numbers
from posinfo.networks.surgery.observed import OUTPUT, Observed
from posinfo.work import Work

CROPS = ("crops", "circular")  # real ones, and for reference turned ones


class AnswersCell(NetworkCell):
    """A network and the frames around its images.

    Attributes:
        offsets: rows, and columns, at which windows start, in pixels.
        batch_padding: rows and columns of zeros that a batch appends, in pixels.
        paddings: that the network is given without fine-tuning, of ``PADDINGS``.
    """

    offsets: tuple[int, ...]
    batch_padding: int
    paddings: tuple[str, ...]


def run(cell: AnswersCell, inputs: Inputs, work: Work) -> Result:
    """What changes with the place of the window, zeros in a batch, and another padding.

    Returns:
        Rows ``measure, where, photograph, value``. Of a classifier, with ``crops`` or ``circular``
        as ``where``: ``consistency`` (see ``exact_consistency``), ``unanimous``, ``wobble``; of
        maps ``shift_error``, over shifts by the network's period, one at least. Of both
        ``batch_padding`` and ``repadding`` with the padding as ``where``, see ``changes``. Tensors
        ``agreement.crops`` and ``agreement.circular`` (k, k), see ``agreement_by_offset``;
        ``confidence.crops`` and ``confidence.circular`` (k, k), the mean confidence by offset. In
        ``facts``, ``refused``: why something is not measured, by its name.
    """
    pictures, observed = inputs["pictures"], load(cell, work)
    structure = inputs["structure"]
    stride, period = strides_of(structure).get(OUTPUT), structure.facts["period"]
    refused: dict[str, str] = {}
    shifts = range(0, max(cell.offsets[-1], period) + 1, period if stride else 1)
    room = pictures.arrays["pixels"].shape[2] - cell.image_size
    if shifts[-1] > room:
        refused["shift_error"] = f"audit.picture_size leaves {room} px for a shift by {period} px"
    side = cell.image_size + min(room, shifts[-1] if stride else cell.offsets[-1])
    others, rows = _repadded(cell, work, refused), [NO_ROWS]
    seen: dict[str, list[Answers]] = {where: [] for where in CROPS}
    for names, images in picture_batches(cell, pictures, side, work):
        window = _middle(images, cell.image_size)
        with torch.inference_mode():
            answer = observed(window)
        require_numbers(answer, names)
        if answer[OUTPUT].ndim == 2:
            for where, so_far in seen.items():
                so_far.append(_answers(cell, observed, images, names, where))
                rows += _of_answers(names, where, so_far[-1])
        elif stride is not None and "shift_error" not in refused:
            errors = shifted_errors(observed, images, shifts, cell.image_size, stride)
            rows.append(rows_of(names, "shift_error", "crops", errors))
        rows += _changed(cell, window, answer, observed, others, stride, names, refused)
    # in an order that does not depend on the batches
    table = pd.concat(rows).sort_values(["measure", "where"], kind="stable", ignore_index=True)
    return Result(tensors=_maps(seen), rows=table, facts={"refused": refused})


def _middle(images: Tensor, side: int) -> Tensor:
    start = (images.shape[2] - side) // 2
    return images[:, :, start : start + side, start : start + side].contiguous()


def _answers(
    cell: AnswersCell, observed: Observed, images: Tensor, names: list[str], where: str
) -> Answers:
    circular = where == "circular"
    found = answers_by_offset(observed, images, cell.offsets, cell.image_size, circular=circular)
    require_numbers({f"confidence of {where}": found.confidence}, names)
    return found


def _maps(seen: Mapping[str, list[Answers]]) -> dict[str, Tensor]:
    """Agreement and confidence by offset, over all photographs."""
    maps = {}
    for where, found in seen.items():
        if found:
            classes, confidence = (torch.cat(each) for each in zip(*found, strict=True))
            maps[f"agreement.{where}"] = agreement_by_offset(classes)
            maps[f"confidence.{where}"] = confidence.mean(0)
    return maps


def _repadded(cell: AnswersCell, work: Work, refused: dict[str, str]) -> dict[str, Observed]:
    others = {}
    for padding in cell.paddings:
        if padding == cell.network.padding:
            continue
        network = cell.network.model_copy(update={"padding": padding})
        try:
            network.check(cell.image_size)
        except ValueError as error:
            refused[f"repadding.{padding}"] = str(error)
            continue
        others[padding] = load(cell.model_copy(update={"network": network}), work)
    return others


def _of_answers(names: list[str], where: str, found: Answers) -> list[pd.DataFrame]:
    exact = torch.tensor([exact_consistency(each[None]) for each in found.classes])
    unanimous = (found.classes == found.classes[:, :1, :1]).flatten(1).all(1).float()
    values = {"consistency": exact, "unanimous": unanimous, "wobble": found.wobble}
    return [rows_of(names, measure, where, each) for measure, each in values.items()]


def _changed(
    cell: AnswersCell,
    window: Tensor,
    answer: Mapping[str, Tensor],
    observed: Observed,
    others: Mapping[str, Observed],
    stride: int | None,
    names: list[str],
    refused: dict[str, str],
) -> list[pd.DataFrame]:
    rows: list[pd.DataFrame] = []

    def attempt(measure: str, where: str, values: Any) -> None:
        try:
            rows.append(rows_of(names, measure, where, values()))
        except (RuntimeError, AssertionError, ValueError) as error:  # as networks refuse sizes
            refused[f"{measure}.{where}".strip(".")] = str(error)

    alone, more = answer[OUTPUT], cell.batch_padding
    attempt("batch_padding", "", lambda: padded_batch(observed, window, alone, more, stride))
    for padding, other in others.items():
        with torch.inference_mode():
            attempt(
                "repadding",
                padding,
                lambda other=other: changes(alone, other(window)[OUTPUT]),
            )
    return rows
