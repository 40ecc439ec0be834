"""Random crops and flips in one indexed read against torchvision's transforms image by image.

Both start from 8-bit images in memory and end with normalised batches of 128: pad by 4, crop 32 px
at random, flip at random. Rounds of the two alternate, because a shared machine drifts.

    python benchmarks/augmentation.py
"""

import argparse
import time
from collections.abc import Callable
from statistics import median

import torch
from torchvision.transforms import v2

from posinfo.networks.training.devices import pick_device
from posinfo.stimuli.crops import Crops

SIDE, PADDING, BATCH, IMAGES = 32, 4, 128, 1280
MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)


def seconds(work: Callable[[], object]) -> float:
    """Wall time of one call, the accelerator's work included."""
    start = time.monotonic()
    work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.monotonic() - start


def main() -> None:
    """Time an epoch of both sides in turn and print the ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    device = pick_device("auto")
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (IMAGES, 3, SIDE, SIDE), dtype=torch.uint8, generator=generator)
    crops = Crops(pixels, 2 * PADDING, "zero", torch.tensor(MEAN), torch.tensor(STD), device=device)
    transform = v2.Compose(
        [
            v2.RandomCrop(SIDE, padding=PADDING),
            v2.RandomHorizontalFlip(),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize(MEAN, STD),
        ]
    )

    def one_by_one() -> None:
        for batch in pixels.split(BATCH):
            torch.stack([transform(image) for image in batch]).to(device)

    def at_once() -> None:
        for images in torch.randperm(IMAGES).split(BATCH):
            offsets = torch.randint(crops.offsets, (len(images), 2))
            crops.batch(images, offsets, torch.rand(len(images)) < 1 / 2)

    times = {"transforms": [], "crops": []}
    for _ in range(options.rounds + 1):
        times["transforms"].append(seconds(one_by_one))
        times["crops"].append(seconds(at_once))
    slow, fast = (median(values[1:]) for values in times.values())
    print(f"{IMAGES} images of {SIDE} px, batches of {BATCH}, {device}")
    print(f"transforms: {1e6 * slow / IMAGES:.0f} us per image; ours: {1e6 * fast / IMAGES:.1f} us")
    print(f"ratio: {slow / fast:.0f} (median of {options.rounds} rounds)")


if __name__ == "__main__":
    main()
