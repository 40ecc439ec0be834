import pytest
import torch
from torch import nn

from posinfo.networks.training.config import TrainingConfig
from posinfo.networks.training.segmentation import (
    EVALUATED_AT_ONCE,
    LabelledPixels,
    logits_of,
    predict_pixels,
    train_segmenter,
)
from posinfo.work import Work

COLOURS = ((0.5, 0.5, 0.5), (0.25, 0.25, 0.25))


def protocol(**changes):
    usual = {
        "epochs": 1, "batch_size": 4, "optimiser": "sgd", "lr": 0.1, "betas": None, "momentum": 0.0,
        "weight_decay": 0.0, "schedule": "constant", "mirrored": False, "keep": "last",
        "compile": False,
    }  # fmt: skip
    return TrainingConfig.model_validate({**usual, **changes})


def data(count=8):
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(256, (count, 3, 6, 10), generator=generator, dtype=torch.uint8)
    return LabelledPixels(pixels, (pixels[:, 0] > 127).byte(), COLOURS)


class Pixelwise(nn.Module):
    """A 1 x 1 convolution that keeps what it was shown."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.shown = nn.Conv2d(3, 2, 1), []
        self.drop = nn.Dropout(0.5)

    def forward(self, images):
        self.shown.append(images.detach().clone())
        return {"out": self.conv(self.drop(images)), "aux": None}


def fit(network, train, **changes):
    return train_segmenter(
        network, train, protocol(**changes), validate=lambda: 0.0, seed=3, work=Work()
    )


def test_images_are_normalised_by_their_own_colours():
    few = data(2)
    expected = (few.pixels.float() / 255 - 0.5) / 0.25
    torch.testing.assert_close(few.images(slice(None)), expected)


def test_every_image_is_seen_once_per_epoch_in_a_new_order():
    network, train = Pixelwise(), data()
    fit(network, train, epochs=2)
    known = [image.flatten().tolist() for image in train.images(slice(None))]
    orders = [
        [known.index(image.flatten().tolist()) for image in torch.cat(batches)]
        for batches in (network.shown[:2], network.shown[2:])
    ]
    assert sorted(orders[0]) == sorted(orders[1]) == list(range(8))
    assert orders[0] != orders[1]


def test_the_loss_is_the_cross_entropy_of_pixels_that_count():
    train = data(4)
    train.labels[:, 0] = 255
    network = Pixelwise()
    network.drop = nn.Identity()
    logits = network(train.images(slice(None)))["out"].detach()
    expected = nn.functional.cross_entropy(logits[:, :, 1:], train.labels[:, 1:].long()).item()
    assert fit(network, train).losses.item() == pytest.approx(expected, rel=1e-5)


def test_images_and_labels_are_mirrored_together():
    """A network that reads red pixel by pixel learns as well from mirrored scenes."""
    train, network = data(64), Pixelwise()
    network.drop = nn.Identity()
    losses = fit(network, train, mirrored=True, epochs=30, lr=1.0).losses
    assert losses[-1] < 0.1
    known = {image.flatten().numpy().tobytes() for image in train.images(slice(None))}
    seen = torch.cat(network.shown[:16])
    plain = [image.flatten().numpy().tobytes() in known for image in seen]
    turned = [image.flip(2).flatten().numpy().tobytes() in known for image in seen]
    assert all(a != b for a, b in zip(plain, turned, strict=True))
    assert 16 <= sum(turned) <= 48, "half of them"


def test_prediction_evaluates_every_image_in_order():
    network, many = Pixelwise().train(), data(EVALUATED_AT_ONCE + 3)
    predicted, labels = (
        torch.cat(parts) for parts in zip(*predict_pixels(network, many, Work()), strict=True)
    )
    assert not network.training, "dropout is off"
    assert torch.equal(labels, many.labels)
    with torch.inference_mode():
        assert torch.equal(predicted, network(many.images(slice(None)))["out"].argmax(1))


def test_too_few_images_are_refused():
    with pytest.raises(ValueError, match="3 train images are fewer than a batch of 4"):
        fit(Pixelwise(), data(3))


@pytest.mark.parametrize("output", [{"aux": torch.zeros(1, 2, 3, 3)}, torch.zeros(1, 2), [1]])
def test_what_is_no_logits_is_refused(output):
    with pytest.raises(ValueError, match="must return logits"):
        logits_of(output)
