"""Training on shifted canvases against the released loop, on the same network and batch.

The released loop runs in float32, channels first, and pastes each image on its canvas in a Python
loop (Islam et al., ICCV 2021). Ours pastes in one indexed write, channels last, and runs in
bfloat16 where the processor has it. Steps of the two alternate, because a shared machine drifts.

    python benchmarks/canvases.py              # full width, 48 canvases of 96 x 96
    python benchmarks/canvases.py --width 16
"""

import argparse
import time
from collections.abc import Callable
from statistics import median

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from posinfo.networks.models.pooled_classifiers import ClassifierConfig, build_classifier
from posinfo.networks.training.devices import pick_device, pick_precision
from posinfo.stimuli.canvases import CanvasConfig, Canvases
from posinfo.work import Work

GRID, TILE, BATCH, TILES = 3, 32, 48, 1000
CANVAS = CanvasConfig(grid=GRID, location_size=TILE, colour="black")


def seconds(task: Callable[[], object]) -> float:
    """Wall time of one call, the accelerator's work included."""
    start = time.monotonic()
    task()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.monotonic() - start


def build(width: int, device: torch.device) -> tuple[nn.Module, torch.optim.Optimizer]:
    """A PermuteNet with its optimiser."""
    config = ClassifierConfig(
        network="permutenet", arch="canvas_resnet18", width=width, padding="zero",
        permutation="per_batch", permuted_before=None,
    )  # fmt: skip
    network = build_classifier(config, GRID**2, 0, CANVAS.side).to(device)
    return network, torch.optim.Adam(network.parameters(), 1e-3, betas=(0.5, 0.999))


def main() -> None:
    """Time steps of both sides in turn and print the ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    device = pick_device("auto")
    work = Work(device=device, dtype=pick_precision("auto", device))
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (TILES, 3, TILE, TILE), dtype=torch.uint8, generator=generator)
    mean, std = torch.full((3,), 0.5), torch.full((3,), 0.25)
    images = torch.randperm(TILES, generator=generator)[:BATCH]
    locations = torch.randint(GRID**2, (BATCH,), generator=generator)
    normalised = (pixels.float() / 255 - mean[:, None, None]) / std[:, None, None]
    canvases = Canvases(pixels, CANVAS, mean, std, device=device, dtype=work.dtype)
    theirs, ours = build(options.width, device), build(options.width, device)
    ours[0].to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def pasted_one_by_one() -> torch.Tensor:
        batch = torch.zeros(BATCH, 3, CANVAS.side, CANVAS.side)
        pairs = zip(images.tolist(), locations.tolist(), strict=True)
        for index, (image, location) in enumerate(pairs):
            top, left = location // GRID * TILE, location % GRID * TILE
            batch[index, :, top : top + TILE, left : left + TILE] = normalised[image]
        return batch.to(device)

    def step(
        side: tuple[nn.Module, torch.optim.Optimizer], batch: torch.Tensor, work: Work
    ) -> None:
        network, optimiser = side
        with work.autocast():
            logits = network(batch)
        loss = cross_entropy(logits.float(), locations.to(device))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()

    def released_step() -> None:
        step(theirs, pasted_one_by_one(), Work(device=device))

    def our_step() -> None:
        step(ours, canvases.batch(images, locations), work)

    times = {"released": [], "ours": [], "canvases": []}
    for _ in range(options.rounds + 1):
        times["released"].append(seconds(released_step))
        times["ours"].append(seconds(our_step))
        times["canvases"].append(seconds(lambda: canvases.batch(images, locations)))
    released, own, building = (median(values[1:]) for values in times.values())
    print(f"width {options.width}, {BATCH} canvases of {CANVAS.side} px, {device}, {work.dtype}")
    print(f"released loop: {1e3 * released:.0f} ms per step; ours: {1e3 * own:.0f} ms")
    print(f"ratio: {released / own:.2f} (median of {options.rounds} rounds)")
    print(f"canvases: {1e3 * building:.2f} ms, {building / own:.1%} of a step")


if __name__ == "__main__":
    main()
