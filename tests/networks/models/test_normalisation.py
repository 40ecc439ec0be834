import pytest
import torch
from torchvision.models import VGG16_Weights

from posinfo.networks.models.normalisation import NORMALISATIONS, normalise


def images(generator):
    return torch.randint(0, 256, (2, 3, 224, 224), generator=generator, dtype=torch.uint8)


def test_imagenet_equals_torchvision(generator):
    shown = images(generator)
    reference = VGG16_Weights.IMAGENET1K_V1.transforms(resize_size=224)
    torch.testing.assert_close(normalise(shown, "imagenet"), reference(shown))


def test_none_stops_at_one(generator):
    shown = images(generator)
    torch.testing.assert_close(normalise(shown, "none") * 255, shown.float())


def test_own_colours_replace_imagenets_alone(generator):
    shown, own = images(generator), ((0.25, 0.5, 0.75), (0.5, 0.25, 0.125))
    mean, std = (torch.tensor(values)[:, None, None] for values in own)
    expected = (shown.double() / 255 - mean) / std
    torch.testing.assert_close(normalise(shown, "imagenet", own), expected.float())
    assert torch.equal(normalise(shown, "none", own), normalise(shown, "none"))


@pytest.mark.parametrize("kind", NORMALISATIONS)
def test_input_is_unchanged(kind, generator):
    shown = images(generator)
    before = shown.clone()
    normalise(shown, kind)
    assert torch.equal(shown, before)


def test_unknown_normalisation_is_refused(generator):
    with pytest.raises(
        ValueError, match="^normalisation must be one of imagenet, none; got 'caffe'$"
    ):
        normalise(images(generator), "caffe")
