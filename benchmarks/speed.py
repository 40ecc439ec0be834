"""One pass and joint readouts against the released procedure, and against a bare forward.

The released procedure trains one pattern at a time and runs the backbone again in every epoch
(channels first, upsampling before the loss), in float32 as released and at our precision. It is
timed on a few whole batches and extrapolated to all epochs. Our side is timed whole, with nothing
cached: features of every image, then the readouts of all patterns. VGG-16, one seed, 15 epochs.

    python benchmarks/speed.py            # 320 images, a few minutes
    python benchmarks/speed.py --images 64
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import median

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, mse_loss

from posinfo.networks.models.backbones import BackboneConfig, build_backbone
from posinfo.networks.models.normalisation import normalise
from posinfo.networks.models.weights import load_network
from posinfo.networks.readouts.config import ReadoutConfig, RidgeConfig
from posinfo.networks.readouts.convolutional import initial_seed, train_readouts
from posinfo.networks.readouts.feature_array import FeatureArray
from posinfo.networks.readouts.features import batch_size, extract_features
from posinfo.networks.training.devices import pick_device, pick_precision
from posinfo.stimuli.patterns import make_pattern
from posinfo.stimuli.photos import decode_images, embedded_crops
from posinfo.work import Work

PATTERNS = ["horizontal", "vertical", "gaussian", "horizontal_stripes", "vertical_stripes"]
EPOCHS, BATCH, SIZE, CHANNELS = 15, 32, 224, 1472
ROUNDS = 5
ROW = BackboneConfig(arch="vgg16", weights="untrained", padding="zero")
PROTOCOL = ReadoutConfig(
    head="code", loss="mse",
    kernel_size=3, layers=1, hidden_width=64, padding=0, steps=None, epochs=EPOCHS,
    lr=0.1, momentum=0.9, weight_decay=1e-4, batch_size=BATCH,
    ridge=RidgeConfig(penalties=(1.0,), held_out=0.2, positions=64, memory_gib=6),
)  # fmt: skip


def seconds(work: Callable[[], object]) -> float:
    """Wall time of one call, the accelerator's work included."""
    start = time.monotonic()
    work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.monotonic() - start


def batch(pixels: np.ndarray, start: int, size: int) -> Tensor:
    """A copy of some images."""
    return torch.from_numpy(np.array(pixels[start : start + size]))


def released(pixels: np.ndarray, device: torch.device, dtype: torch.dtype, batches: int) -> float:
    """Seconds per image, epoch and pattern of the released procedure at a precision."""
    backbone = build_backbone(ROW, 224, 28, "imagenet").to(device)
    head = nn.Sequential(nn.Conv2d(CHANNELS, 1, 3), nn.BatchNorm2d(1), nn.Sigmoid()).to(device)
    optimiser = torch.optim.SGD(head.parameters(), 0.1, momentum=0.9, weight_decay=1e-4)
    target = make_pattern("horizontal", (SIZE, SIZE)).to(device).expand(BATCH, 1, SIZE, SIZE)

    def step(index: int) -> None:
        shown = normalise(batch(pixels, index * BATCH, BATCH).to(device), "imagenet")
        with torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
            with torch.no_grad():
                features = torch.cat(list(backbone.blocks(shown).values()), 1)
            predictions = head(features).float()
        loss = mse_loss(interpolate(predictions, (SIZE, SIZE), mode="bilinear"), target)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()

    step(0)
    return seconds(lambda: [step(index) for index in range(batches)]) / (batches * BATCH)


def ours(pixels: np.ndarray, work: Work) -> tuple[float, float]:
    """Seconds of extracting every feature, and of training all patterns."""
    with tempfile.TemporaryDirectory() as folder:
        backbone = build_backbone(ROW, 224, 28, "imagenet")
        there = replace(work, folder=Path(folder))
        extraction = seconds(lambda: extract_features(backbone, pixels, CHANNELS, there))
        targets = torch.stack([make_pattern(pattern, (SIZE, SIZE)) for pattern in PATTERNS])
        seeds = [initial_seed(pattern, 0) for pattern in PATTERNS]
        features = FeatureArray(np.load(there.folder / "features.npy", mmap_mode="r"))
        training = seconds(lambda: train_readouts(features, targets, seeds, PROTOCOL, work))
    return extraction, training


def throughput(pixels: np.ndarray, work: Work) -> float:
    """Extraction against the backbone's forward alone: the median ratio over rounds.

    The forward sees the same images in the same batches, already normalised and in memory. Each
    round times it before and after the extraction, because a shared machine drifts.
    """
    backbone = build_backbone(ROW, 224, 28, "imagenet")
    network = load_network("vgg16", "untrained").features[:-1].to(work.device, work.dtype)
    network.to(memory_format=torch.channels_last)
    size = batch_size(work.device)
    batches = [
        normalise(batch(pixels, start, size).to(work.device), "imagenet").to(
            work.dtype, memory_format=torch.channels_last
        )
        for start in range(0, len(pixels), size)
    ]

    def extract() -> None:
        with tempfile.TemporaryDirectory() as folder:
            extract_features(backbone, pixels, CHANNELS, replace(work, folder=Path(folder)))

    def forward() -> None:
        with torch.inference_mode():
            for shown in batches:
                network(shown)

    forward()
    extract()
    ratios = []
    for _ in range(ROUNDS):
        before, extraction, after = seconds(forward), seconds(extract), seconds(forward)
        ratios.append((before + after) / 2 / extraction)
    return median(ratios)


def main() -> None:
    """Time all sides on the same images and print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=320, help="a multiple of 32")
    parser.add_argument("--released-batches", type=int, default=3)
    options = parser.parse_args()
    if options.images % BATCH:
        parser.error(f"--images must be a multiple of {BATCH}")
    batches = min(options.released_batches, options.images // BATCH)
    device = pick_device("auto")
    precision = pick_precision("auto", device)
    with tempfile.TemporaryDirectory() as folder:
        manifest = embedded_crops("train", options.images, 0)
        pixels = decode_images(manifest, SIZE, Work(folder=Path(folder)))
        work = Work(device, precision)
        share = throughput(pixels, work)
        extraction, training = ours(pixels, work)
        theirs = {d: released(pixels, device, d, batches) for d in (torch.float32, precision)}
    repeats = options.images * EPOCHS * len(PATTERNS)
    print(
        f"{options.images} images, {EPOCHS} epochs, {len(PATTERNS)} patterns, {device}, {precision}"
    )
    print(f"ours, {precision}: {extraction:.1f} s features + {training:.1f} s readouts")
    for dtype, per_image in theirs.items():
        print(
            f"released, {dtype}: {1e3 * per_image:.0f} ms per image, epoch and pattern; "
            f"{per_image * repeats:.0f} s in all, extrapolated from {batches} batches; "
            f"ratio {per_image * repeats / (extraction + training):.0f}"
        )
    print(f"extraction: {share:.0%} of the bare forward's throughput (median of {ROUNDS} rounds)")


if __name__ == "__main__":
    main()
