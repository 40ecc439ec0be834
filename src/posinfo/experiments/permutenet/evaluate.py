"""Step 3: every measured image at every location of the canvas."""

import pandas as pd

from posinfo.experiment import Inputs, Result
from posinfo.experiments.measured_split import MeasuredSplit
from posinfo.experiments.permutenet.train import NetworkCell
from posinfo.experiments.trained_network import load_trained
from posinfo.measures.canvas_scores import accuracy
from posinfo.networks.models.pooled_classifiers import build_classifier
from posinfo.networks.training.canvases import LabelledCanvases, count_answers
from posinfo.work import Work

SHOWN = 6  # canvases in a line of the figure


class EvaluateCell(NetworkCell):
    """A trained network and the images that it is asked about.

    Attributes:
        split: the images.
    """

    split: MeasuredSplit


def run(cell: EvaluateCell, inputs: Inputs, work: Work) -> Result:
    """What a trained network answers.

    Returns:
        One row ``accuracy, seed, floor, n``, where ``floor`` is chance; ``counts`` (locations,
        targets, answers), see ``count_answers``; ``shown`` (k, 3, s, s) uint8, the first train
        images on the canvas.
    """
    images = inputs["images"]
    measured = LabelledCanvases.of(images.tensors, cell.split, cell.canvas, cell.task, work)
    network = build_classifier(cell.classifier, measured.answers, cell.seed, cell.canvas.side)
    load_trained(network, inputs["network"])
    counts = count_answers(network.to(work.device), measured, work)
    about = {"seed": cell.seed, "floor": 1 / measured.answers, "n": int(counts.sum())}
    rows = pd.DataFrame([{"accuracy": accuracy(counts), **about}])
    train = LabelledCanvases.of(images.tensors, "train", cell.canvas, cell.task, Work())
    tensors = {"counts": counts, "shown": train.preview(SHOWN)}
    return Result(tensors=tensors, rows=rows, history=inputs["network"].history)
