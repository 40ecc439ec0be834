"""Step 4: what the readouts say of other photographs, and of images without content."""

from itertools import chain

import pandas as pd
import torch
from torch import Tensor

from posinfo.experiment import Inputs, Result
from posinfo.experiments.posenet.readouts import (
    ReadoutsCell,
    chosen_images,
    open_blocks,
    photographs_of,
    targets_of,
)
from posinfo.measures.scores import (
    Head,
    image_rows,
    predict,
    score_images,
    stuck,
    summarise_images,
    watch_maps,
)
from posinfo.networks.readouts.convolutional import Readouts
from posinfo.work import Work


def run(cell: ReadoutsCell, inputs: Inputs, work: Work) -> Result:
    """SPC and MAE of every readout on every image without content, and on the photographs' images.

    Those are of the test photographs, or of the train photographs that the cell holds out.

    Returns:
        Rows of ``summarise_images``, and whether the readout is ``stuck``. ``spc`` and ``mae``
        (n, k) of each image and head, with their names in ``facts``. By pattern, for the first
        seed: ``truth.``, ``map.`` (of the first photograph) and ``error.`` (mean over photographs
        of the absolute error of each pixel), each (h, w). The first photograph ``image`` (3, h, w)
        uint8.
    """
    targets = targets_of(cell)
    first = {name: i for i, (name, seed) in enumerate(cell.heads) if seed == cell.heads[0][1]}
    truth = {name: targets[i] for name, i in first.items()}
    measured = chosen_images(inputs["images"], cell, held_out=True)
    sets = [open_blocks(inputs["photos"], cell, measured), open_blocks(inputs["synthetic"], cell)]
    readouts = Readouts(sets[0].shape[3], [0] * len(cell.heads), cell.readout)
    readouts.load_state_dict(dict(inputs["readouts"].tensors))
    readouts.eval().to(work.device)
    names = [("photos", name) for name in photographs_of(inputs["images"], measured)]
    photographs = len(names)
    names += [(name, name) for name in inputs["synthetic_images"].table.photograph]
    work.on_total(len(names))
    predictions = chain.from_iterable(predict(readouts, each, work.device) for each in sets)
    drawn: dict[str, Tensor] = {}
    maps = watch_maps(predictions, photographs, first, truth, drawn)
    spc, mae = score_images(maps, targets, work.on_progress)
    rows = summarise_images(image_rows(names, cell.heads, spc, mae).assign(cell=""), truth)
    at_constant = _stuck(cell, inputs["readouts"], targets)
    rows["stuck"] = [at_constant[head] for head in zip(rows.pattern, rows.seed, strict=True)]
    image = torch.from_numpy(inputs["images"].arrays["pixels"][measured[0]].copy())
    return Result(
        tensors={
            **{f"truth.{pattern}": mask for pattern, mask in truth.items()},
            **drawn,
            "spc": spc,
            "mae": mae,
            "image": image,
        },
        rows=rows.drop(columns="cell"),
        history=inputs["readouts"].history,
        facts={"images": names, "heads": cell.heads},
    )


def _stuck(cell: ReadoutsCell, readouts: Result, targets: Tensor) -> dict[Head, bool]:
    """Whether each readout stays at the constant map; one that is solved never does."""
    if cell.readout.head == "ridge":
        return dict.fromkeys(cell.heads, False)
    losses = torch.tensor([curve[-1] for curve in readouts.history.values()])
    return dict(
        zip(cell.heads, stuck(losses / cell.readout.loss_scale, targets).tolist(), strict=True)
    )


def image_scores(evaluated: Result) -> pd.DataFrame:
    """The scores of each image as rows ``pattern, seed, stimulus, photograph, spc, mae``."""
    # they were pairs, which JSON gives back as lists
    names = [(stimulus, photograph) for stimulus, photograph in evaluated.facts["images"]]
    heads = [(pattern, seed) for pattern, seed in evaluated.facts["heads"]]
    return image_rows(names, heads, evaluated.tensors["spc"], evaluated.tensors["mae"])
