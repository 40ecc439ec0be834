import pytest
import torch
from pydantic import TypeAdapter, ValidationError

from posinfo.measures.channel_attack import Attack, Box, attack
from posinfo.networks.models.segmenters import LATENT, SegmenterConfig, build_segmenter
from posinfo.networks.training.segmentation import LabelledPixels
from posinfo.work import Work

CLASSES, GROUPS = 3, 4
REGIONS = {
    "full": (0.0, 0.0, 1.0, 1.0),
    "left": (0.0, 0.0, 0.5, 1.0),
    "right": (0.5, 0.0, 1.0, 1.0),
    "window": (0.25, 0.25, 0.75, 1.0),
}
BOXES = {
    "full": (slice(0, 32), slice(0, 64)), "left": (slice(0, 32), slice(0, 32)),
    "right": (slice(0, 32), slice(32, 64)), "window": (slice(8, 32), slice(16, 48)),
}  # fmt: skip


@pytest.fixture(scope="module")
def network():
    config = SegmenterConfig(arch="small_deeplab", width=4, padding="zero", planted=0)
    network = build_segmenter(config, CLASSES, seed=0).eval()
    torch.nn.init.zeros_(network.classifier[-1].bias)  # or one class is always right
    return network


@pytest.fixture(scope="module")
def data():
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(256, (18, 3, 32, 64), generator=generator, dtype=torch.uint8)
    labels = torch.randint(CLASSES, (18, 32, 64), generator=generator, dtype=torch.uint8)
    labels[:, :3] = 255
    return LabelledPixels(pixels, labels, ((0.5,) * 3, (0.25,) * 3))


@torch.inference_mode()
def by_hand(network, data, channels, values):
    """Confusion matrices by group and region, pixel by pixel."""
    latent = network.backbone(data.images(slice(None)))["out"].clone()
    for channel in channels:
        latent[:, channel] = values[channel]
    small = network.classifier(latent)
    logits = torch.nn.functional.interpolate(
        small, data.labels.shape[1:], mode="bilinear", align_corners=False
    )
    counts = torch.zeros(GROUPS, len(REGIONS), CLASSES, CLASSES, dtype=torch.long)
    for image, (right, predicted) in enumerate(zip(data.labels, logits.argmax(1), strict=True)):
        for region, box in enumerate(BOXES.values()):
            for label, answer in zip(right[box].flatten(), predicted[box].flatten(), strict=True):
                if label != 255:
                    counts[image * GROUPS // 18, region, int(label), int(answer)] += 1
    return counts


def test_counts_are_those_of_a_loop_over_pixels(network, data):
    means = torch.linspace(0, 1, 32)
    attacks = [
        Attack(torch.tensor([], dtype=torch.long)),
        Attack(torch.tensor([3, 1, 17])),
        Attack(torch.tensor([3, 1, 17]), to_mean=True),
    ]
    counts = attack(
        network, LATENT, data, attacks, means=means, regions=REGIONS, classes=CLASSES,
        groups=GROUPS, work=Work(),
    )  # fmt: skip
    for found, each in zip(counts, attacks, strict=True):
        values = means if each.to_mean else torch.zeros(32)
        assert torch.equal(found, by_hand(network, data, each.channels.tolist(), values))
    assert not torch.equal(counts[1], counts[2])


def test_progress_counts_images(network, data):
    seen = []
    attack(
        network, LATENT, data, [Attack(torch.tensor([0]))], means=torch.zeros(32),
        regions=REGIONS, classes=CLASSES, groups=2, work=Work(on_progress=seen.append),
    )  # fmt: skip
    assert sum(seen) == len(data.pixels)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"groups": 19}, "18 images cannot be dealt to 19 groups"),
        ({"regions": {"line": (0.0, 0.0, 0.001, 1.0)}}, "region 'line' has no pixel in .* 32 x 64"),
        ({"classes": 4}, "the network has 3 classes, the labels have 4"),
    ],
)
def test_what_does_not_fit_is_refused(network, data, changes, message):
    usual = {"regions": REGIONS, "classes": CLASSES, "groups": GROUPS, **changes}
    with pytest.raises(ValueError, match=message):
        attack(
            network, LATENT, data, [Attack(torch.tensor([0]))], means=torch.zeros(32),
            work=Work(), **usual,
        )  # fmt: skip


@pytest.mark.parametrize(
    "box", [(0.5, 0, 0.5, 1), (0.6, 0, 0.5, 1), (-0.1, 0, 1, 1), (0, 0, 1, 1.5)]
)
def test_boxes_outside_of_the_image_are_refused(box):
    with pytest.raises(ValidationError, match="in shares of width and height"):
        TypeAdapter(Box).validate_python(box)
