"""An ablation curve behind one pass of the backbone, against the whole network again and again.

The released code of Islam et al. (ICCV 2021, experiment 3) runs the whole network anew for each
ranking, number of channels, random draw and region. Ours runs the backbone once per image and what
follows the latent once per set of channels; one prediction serves all regions. Both count the same
pixels; passes of the two alternate, because a shared machine drifts.

    python benchmarks/channel_attack.py        # DeepLabV3-ResNet-50 at 256 x 512, four regions
"""

import argparse
import time
from statistics import median

import torch

from posinfo.measures.channel_attack import Attack, attack
from posinfo.measures.channel_rankings import random_channels
from posinfo.measures.segmentation import PixelCounter
from posinfo.networks.models.segmenters import SegmenterConfig, build_segmenter
from posinfo.networks.surgery.ablation import ablated
from posinfo.networks.surgery.resumable import Resumable
from posinfo.networks.training.devices import pick_device
from posinfo.networks.training.segmentation import LabelledPixels, logits_of
from posinfo.work import Work

CLASSES, SILENCED = 19, 100
REGIONS = {
    "full": (0.0, 0.0, 1.0, 1.0),
    "left": (0.0, 0.0, 0.5, 1.0),
    "right": (0.5, 0.0, 1.0, 1.0),
    "centre": (0.25, 0.0, 0.75, 1.0),
}


def released(network: torch.nn.Module, layer: str, data: LabelledPixels, each: Attack) -> list:
    """Confusion matrices of one attack, the whole network once per region."""
    counts, (height, width) = [], data.labels.shape[1:]
    for left, top, right, bottom in REGIONS.values():
        rows = slice(round(top * height), round(bottom * height))
        columns = slice(round(left * width), round(right * width))
        with torch.inference_mode(), ablated(network, layer, each.channels.tolist()):
            predictions = logits_of(network(data.images(slice(None)))).argmax(1)
        counter = PixelCounter(data.targets(slice(None))[:, rows, columns], CLASSES)
        counts.append(counter.count(predictions[:, rows, columns]).sum((0, 1)).cpu())
    return counts


def main() -> None:
    """Time both in turn and print the ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--arch", default="deeplabv3_resnet50")
    parser.add_argument("--height", type=int, default=256)
    parser.add_argument("--width", type=int, default=512)
    parser.add_argument("--attacks", type=int, default=24, help="of ours in each round")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    device, generator = pick_device("auto"), torch.Generator().manual_seed(0)
    config = SegmenterConfig(arch=options.arch, width=None, padding="as_built", planted=0)
    network = build_segmenter(config, CLASSES, seed=0).eval()
    network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    size = (1, options.height, options.width)
    data = LabelledPixels(
        torch.randint(256, (1, 3, *size[1:]), dtype=torch.uint8, generator=generator),
        torch.randint(CLASSES, size, dtype=torch.uint8, generator=generator),
        ((0.5, 0.5, 0.5), (0.25, 0.25, 0.25)),
        device,
    )
    channels = Resumable(network, config.latent).start(data.images(slice(None))).shape[1]
    silenced = min(SILENCED, channels)
    sets = [random_channels(channels, silenced, generator) for _ in range(options.attacks)]
    attacks = [Attack(each) for each in sets]
    theirs, ours = [], []
    for number in range(options.rounds):
        start = time.monotonic()
        expected = released(network, config.latent, data, attacks[number])
        theirs.append(time.monotonic() - start)
        start = time.monotonic()
        found = attack(
            network, config.latent, data, attacks, means=torch.zeros(channels), regions=REGIONS,
            classes=CLASSES, groups=1, work=Work(device=device),
        )  # fmt: skip
        ours.append((time.monotonic() - start) / len(attacks))
        differing = (torch.stack(expected) - found[number, 0]).abs().sum().item() // 2
        print(f"round {number + 1}: {differing} of the pixels of four regions differ")
    print(f"{options.arch}, {options.height} x {options.width} px, {device}, four regions")
    print(f"released: {median(theirs):.2f} s per image and set of channels")
    print(f"ours: {median(ours):.2f} s, the backbone's pass shared by {len(attacks)} sets")
    print(f"ratio: {median(theirs) / median(ours):.1f}")


if __name__ == "__main__":
    main()
