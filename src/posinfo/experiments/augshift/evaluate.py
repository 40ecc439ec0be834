"""Step 3: one prediction per image and offset, and what they say of consistency."""

import pandas as pd

from posinfo.experiment import Inputs, Result
from posinfo.experiments.augshift.train import NetworkCell
from posinfo.experiments.measured_split import MeasuredSplit
from posinfo.experiments.trained_network import load_trained
from posinfo.measures.consistency import agreement_by_offset, consistency_measures
from posinfo.networks.models.augshift import build_latent_classifier
from posinfo.networks.training.augshift import predict_all_offsets
from posinfo.stimuli.crops import UNSHIFTED, Crops, ShiftConfig
from posinfo.work import Work


class EvaluateCell(NetworkCell):
    """A trained network and the ranges of offsets at which it is asked.

    Attributes:
        split: the images.
        shifts: the ranges.
        draws: pairs of offsets per image of the sampled consistency.
    """

    split: MeasuredSplit
    shifts: tuple[ShiftConfig, ...]
    draws: int


def run(cell: EvaluateCell, inputs: Inputs, work: Work) -> Result:
    """Accuracy and consistency over each range.

    Returns:
        A row per range: its name, ``seed, floor, n`` and every measure in [0, 1], ``floor`` being
        chance; ``answers.RANGE`` (n, k, k), the class of each image at each offset;
        ``agreement.RANGE`` (k, k), see ``agreement_by_offset``.
    """
    images, rows, tensors = inputs["images"].tensors, [], {}
    labels = images[f"{cell.split}.labels"]
    ranges = (UNSHIFTED, *cell.shifts)
    work.on_total(len(labels) * sum((shift.max_shift + 1) ** 2 for shift in ranges))
    network = build_latent_classifier(cell.method, cell.classes, cell.seed)
    load_trained(network, inputs["network"])
    network.to(work.device)
    unshifted = predict_all_offsets(network, Crops.of(images, cell.split, UNSHIFTED, work)[0], work)
    top1 = (unshifted.flatten() == labels).double().mean().item()
    for shift in cell.shifts:
        predictions = predict_all_offsets(
            network, Crops.of(images, cell.split, shift, work)[0], work
        )
        measures = consistency_measures(predictions, labels, cell.draws)
        about = {"seed": cell.seed, "floor": 1 / cell.classes, "n": len(labels)}
        rows.append({"range": shift.name, "top1": top1, **measures, **about})
        tensors[f"answers.{shift.name}"] = predictions.short()
        tensors[f"agreement.{shift.name}"] = agreement_by_offset(predictions)
    history = inputs["network"].history
    return Result(tensors=tensors, rows=pd.DataFrame(rows), history=history)
