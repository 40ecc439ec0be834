"""Step 3: every test image at every location of the canvas."""

import pandas as pd
import torch
from jaxtyping import UInt8
from torch import Tensor

from posinfo.experiment import Inputs, Result
from posinfo.experiments.permutenet.train import NetworkCell
from posinfo.experiments.trained_network import load_trained
from posinfo.measures.canvas_scores import accuracy
from posinfo.networks.canvas_training import LabelledCanvases, count_answers
from posinfo.networks.pooled_classifiers import build_classifier
from posinfo.work import Work

SHOWN = 6  # canvases in a line of the figure


def run(cell: NetworkCell, inputs: Inputs, work: Work) -> Result:
    """What a trained network answers.

    Returns:
        One row ``seed, accuracy, floor, n``, where ``floor`` is chance; ``counts`` (locations,
        targets, answers), see ``count_answers``; the first canvases ``shown`` (k, 3, s, s) uint8.
    """
    images = inputs["images"]
    test = LabelledCanvases.of(images.tensors, "test", cell.canvas, cell.task, work)
    network = build_classifier(cell.classifier, test.answers, cell.seed, cell.canvas.side)
    load_trained(network, inputs["network"])
    counts = count_answers(network.to(work.device), test, work)
    row = {
        "seed": cell.seed,
        "accuracy": accuracy(counts),
        "floor": 1 / test.answers,
        "n": int(counts.sum()),
    }
    return Result(
        tensors={"counts": counts, "shown": _shown(cell, images)},
        rows=pd.DataFrame([row]),
        history=inputs["network"].history,
    )


def _shown(cell: NetworkCell, images: Result) -> UInt8[Tensor, "k 3 s s"]:
    """The first train tiles, each at the next location, in their own colours."""
    train = LabelledCanvases.of(images.tensors, "train", cell.canvas, cell.task, Work())
    tiles = torch.arange(min(SHOWN, len(train.labels)))
    batch = train.canvases.batch(tiles, tiles % cell.canvas.locations)
    mean, std = (images.tensors[name][:, None, None] for name in ("mean", "std"))
    return ((batch * std + mean) * 255).round().clamp(0, 255).byte()
