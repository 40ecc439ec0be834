"""An estimate of what `--env=paper` takes on 1, 8 and 64 GPUs, with its arithmetic.

    python benchmarks/paper_cost.py                # at 20 TFLOP/s that a GPU sustains
    python benchmarks/paper_cost.py --tflops 60

Nothing is trained: multiplications and additions of one forward pass of one image are counted, and
multiplied by images, epochs and 3 for a training step (forward, and twice as
much backward). Cells are dealt to GPUs longest first; the longest one is the least that any number
of GPUs can take. Loading, evaluation, start-up and `consistency`, minutes on a CPU, are left out.
"""

import argparse
import heapq
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import torch
from kedro.config import OmegaConfigLoader
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from posinfo.experiments.augshift.settings import AugShiftSettings
from posinfo.experiments.augshift.settings import train_cells as augshift_cells
from posinfo.experiments.permutenet.settings import PermutenetSettings
from posinfo.experiments.permutenet.settings import train_cells as permutenet_cells
from posinfo.networks.models.augshift import build_latent_classifier
from posinfo.networks.models.backbones import BackboneConfig, build_backbone
from posinfo.networks.models.pooled_classifiers import build_classifier
from posinfo.networks.models.segmenters import SegmenterConfig, build_segmenter
from posinfo.networks.surgery.resumable import Resumable
from posinfo.settings import CONFIG_LOADER_ARGS

CONF = Path(__file__).parents[1] / "conf"
CIFAR, DUTS, PASCAL = 50_000, 10_553, 850  # train images; photographs
RANKING, MEASURED = 267, 233  # of Cityscapes' validation photographs: Frankfurt, the other cities
GPUS = (1, 8, 64)


class Work(NamedTuple):
    """What one cell of an experiment computes.

    Attributes:
        experiment: its pipeline.
        cell: its label.
        operations: floating-point operations, in units of 1e12.
    """

    experiment: str
    cell: str
    operations: float


def forward(network: nn.Module, *shape: int) -> float:
    """Operations of one forward pass of one image, in units of 1e12."""
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network.eval()(torch.zeros(1, *shape))
    return counter.get_total_flops() / 1e12  # a multiplication and an addition are two


def trainings(parameters: dict) -> Iterator[Work]:
    """Every network that permutenet and augshift train."""
    permutenet = PermutenetSettings(permutenet=parameters["permutenet"])
    images = CIFAR * (1 - permutenet.permutenet.dataset.validation)
    for label, cell in permutenet_cells(permutenet).items():
        answers = 10 if cell.task == "image" else cell.canvas.grid**2
        network = build_classifier(cell.classifier, answers, cell.seed, cell.canvas.side)
        once = forward(network, 3, cell.canvas.side, cell.canvas.side)
        yield Work("permutenet", label, 3 * once * images * cell.training.epochs)
    augshift = AugShiftSettings(augshift=parameters["augshift"])
    images = CIFAR * (1 - augshift.augshift.dataset.validation)
    for label, cell in augshift_cells(augshift).items():
        once = forward(build_latent_classifier(cell.method, cell.classes, cell.seed), 3, 32, 32)
        crops = cell.method.crops
        yield Work("augshift", label, 3 * crops * once * images * cell.training.epochs)


def readings(parameters: dict) -> Iterator[Work]:
    """Every backbone that posenet and its ablations read, and every readout they train."""
    section, ablations = parameters["posenet"], parameters["posenet_ablations"]
    size, grid = section["image_size"], section["feature_size"]
    backbones = section["backbones"] | ablations["backbones"]
    channels: dict[str, int] = {}
    for label, values in backbones.items():
        if values["arch"] == "image":
            channels[label] = 3
            continue
        config = BackboneConfig.model_validate({**values, "weights": "untrained"})
        once = forward(build_backbone(config, size, grid, "imagenet"), 3, size, size)
        channels[label] = sum(config.block_channels(size).values())
        yield Work("posenet", f"features {label}", once * (DUTS + PASCAL))
    tables = [("posenet", {"backbone": label}) for label in section["backbones"]]
    tables += [("posenet_ablations", cell) for cell in ablations["cells"]]
    for name, cell in tables:
        readout = {**section["readout"], **cell.get("readout", {})}
        patterns = cell.get("patterns", parameters[name]["patterns"])
        heads = len(patterns) * len(parameters[name]["seeds"])
        once = _readout(readout, channels[cell["backbone"]], heads, grid)
        label = f"readouts {cell['backbone']} {cell.get('readout', '')}"
        yield Work(name, label, 3 * once * DUTS * (readout["epochs"] or 1))


def _readout(readout: dict, channels: int, heads: int, grid: int) -> float:
    """Operations of all heads on one image, of all blocks, in units of 1e12."""
    width = channels if readout["hidden_width"] == "same" else readout["hidden_width"]
    widths = [channels, *[width] * (readout["layers"] - 1), 1]
    kernel = readout["kernel_size"]
    maps = (grid - readout["layers"] * (kernel - 1)) ** 2
    return sum(2 * a * b * kernel**2 * maps * heads for a, b in pairwise(widths)) / 1e12


def attacks(parameters: dict) -> Iterator[Work]:
    """Every network that channel_attack silences channels of, on Cityscapes' validation images.

    Of each photograph one pass up to the latent, and what follows it once per set of channels;
    operations are counted on a sixteenth of the pixels.
    """
    section = parameters["channel_attack"]
    attack, size = section["attack"], (256, 512)
    asked = {name: section[name] for name in ("arch", "padding", "planted")}
    config = SegmenterConfig.model_validate(asked | {"width": None})
    network = build_segmenter(config, 19, 0).eval()
    whole = 16 * forward(network, 3, *size)
    resumed = Resumable(network, config.latent)
    with torch.no_grad():
        latent = resumed.start(torch.zeros(1, 3, *size))
        with FlopCounterMode(display=False) as counter:
            resumed.finish(latent)
    head = 16 * counter.get_total_flops() / 1e12
    sets = len(attack["rankings"]) * len(attack["fractions"]) + attack["bands"]
    for row in section["networks"]:
        passes = whole * 2 * RANKING  # each photograph and its mirror image
        for protocol in attack["protocols"].values():
            if protocol is not None:
                images = RANKING if protocol["split"] == "ranking" else MEASURED
                drawn = (protocol["draws"] + protocol["matched"]) * len(attack["fractions"])
                passes += images * (whole + head * (sets + drawn))
        yield Work("channel_attack", str(row), passes)


def makespan(hours: list[float], gpus: int) -> float:
    """Hours until the last of some GPUs is done, the longest cells dealt first."""
    busy = [0.0] * gpus
    for each in sorted(hours, reverse=True):
        heapq.heapreplace(busy, busy[0] + each)
    return max(busy)


def main() -> None:
    """Print a line per experiment, and one for all."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--tflops", type=float, default=20.0)
    rate = parser.parse_args().tflops
    parameters = OmegaConfigLoader(str(CONF), env="paper", **CONFIG_LOADER_ARGS)["parameters"]
    cells = [*trainings(parameters), *readings(parameters), *attacks(parameters)]
    print(f"An estimate at {rate:g} TFLOP/s per GPU: operations / {rate:g}e12 / 3600 = hours")
    print("experiment         cells  10^18 operations  longest cell, h" + "".join(
        f"  {gpus} GPU, h" for gpus in GPUS
    ))  # fmt: skip
    for name in (*dict.fromkeys(cell.experiment for cell in cells), "all"):
        chosen = [cell for cell in cells if name in (cell.experiment, "all")]
        hours = [cell.operations / rate / 3600 for cell in chosen]
        spans = "".join(f"  {makespan(hours, gpus):7.1f}" for gpus in GPUS)
        total = sum(cell.operations for cell in chosen) / 1e6
        print(f"{name:17}  {len(chosen):5}  {total:16.1f}  {max(hours):15.2f}{spans}")


if __name__ == "__main__":
    main()
