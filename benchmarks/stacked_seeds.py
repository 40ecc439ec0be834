"""Ten seeds of a Red-Green network in one training against one seed, and whether numbers agree.

python benchmarks/stacked_seeds.py
"""

import argparse
import time
from statistics import median

import torch

from posinfo.networks.models.stacked_convnets import ConvNetConfig, StackedConvNets
from posinfo.networks.training.config import TrainingConfig
from posinfo.networks.training.devices import pick_device
from posinfo.networks.training.stacked import predict_stacked, train_stacked
from posinfo.stimuli.red_green import red_green
from posinfo.work import Work

SEEDS = 10
CHANNELS, STRIDES = (32, 32, 64, 64), (1, 2, 2, 2)  # the paper's
TRAINING = TrainingConfig(
    epochs=1, batch_size=200, optimiser="adadelta", lr=1.0, betas=None, momentum=None,
    weight_decay=5e-5, schedule="constant", mirrored=False, keep="last", compile=False,
)  # fmt: skip


def trained(seeds: range, padding: str, work: Work, images: int) -> tuple[float, torch.Tensor]:
    """Seconds of an epoch, and the logits of some test images (n, seeds, 2)."""
    found = red_green({"train": images, "test": 100})
    train, test = ((split.similar, split.classes) for split in found.values())
    config = ConvNetConfig(channels=CHANNELS, strides=STRIDES, kernel_size=3, padding=padding)
    networks = StackedConvNets(config, 3, 2, seeds).to(work.device)
    start = time.monotonic()
    train_stacked(networks, train, test, TRAINING, work)
    seconds = time.monotonic() - start
    return seconds, predict_stacked(networks, test[0], work)[1]


def main() -> None:
    """Time both in turn and print the ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--images", type=int, default=800)
    options = parser.parse_args()
    work = Work(pick_device("auto"))
    for padding in ("zero", "full", "circular"):
        trained(range(1), padding, work, TRAINING.batch_size)  # what is built at the first call
        ratios = []
        for _ in range(options.rounds):
            alone, one = trained(range(1), padding, work, options.images)
            together, ten = trained(range(SEEDS), padding, work, options.images)
            ratios.append(together / alone)
        apart = (ten[:, 0] - one[:, 0]).abs().max().item()
        print(
            f"{padding}, {work.device}: {SEEDS} seeds take {median(ratios):.1f} times as long as "
            f"one (median of {options.rounds} rounds); the first differs by {apart:.1e}"
        )


if __name__ == "__main__":
    main()
