import pytest
import torch
from pydantic import ValidationError
from torch import nn

from posinfo.networks.models.architectures import sketch_network
from posinfo.networks.models.embedded_weights import EMBEDDED, read_embedded
from posinfo.networks.models.normalisation import normalise
from posinfo.networks.models.weights import load_network
from posinfo.networks.models.whole_network import WholeNetworkConfig, predict_windows
from posinfo.work import Work


class Looks(nn.Module):
    """Answers in which column of the window the brightest pixel is."""

    def forward(self, images):
        return images.sum(1).amax(1)


def config(arch="resnet18", weights="untrained", padding="as_built", **changes):
    return WholeNetworkConfig(arch=arch, weights=weights, padding=padding, **changes)


def looks():
    return config(f"{__name__}:Looks", "as-built")


def spots(side, *places):
    pixels = torch.zeros(len(places), 3, side, side, dtype=torch.uint8)
    for image, (y, x) in zip(pixels, places, strict=True):
        image[:, y, x] = 255
    return pixels


def test_windows_start_at_the_offsets_row_by_row():
    counted = []
    work = Work(on_total=counted.append, on_progress=counted.append)
    answers = predict_windows(looks(), spots(12, (5, 6), (5, 7)), [0, 2, 4], 8, work)
    assert answers[0].tolist() == [[6, 4, 2]] * 3
    assert answers[1].tolist() == [[7, 5, 3]] * 3
    assert counted[0] == sum(counted[1:]) == 18


def test_answers_are_those_of_the_network_on_each_window(generator):
    pixels = torch.randint(0, 256, (2, 3, 72, 72), generator=generator, dtype=torch.uint8)
    answers = predict_windows(config(seed=3), pixels, [0, 8], 64, Work())
    network = load_network("resnet18", "untrained", 3)
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    for row, y in enumerate([0, 8]):
        for column, x in enumerate([0, 8]):
            window = pixels[:, :, y : y + 64, x : x + 64] / 255
            shown = (window - mean[:, None, None]) / std[:, None, None]
            assert torch.equal(answers[:, row, column], network(shown).argmax(1))


def test_padding_is_changed(generator):
    pixels = torch.randint(0, 256, (1, 3, 64, 64), generator=generator, dtype=torch.uint8)
    rolled = pixels.roll((32, 32), (2, 3))
    circular = config("vgg11_bn", padding="circular")
    first, second = (predict_windows(circular, p, [0], 64, Work()) for p in (pixels, rolled))
    assert torch.equal(first, second)


def test_padding_is_changed_in_the_named_layers_alone(generator):
    pixels = torch.randint(0, 256, (4, 3, 64, 64), generator=generator, dtype=torch.uint8)
    named = ("features.0", "features.4")
    answers = predict_windows(
        config("vgg11_bn", padding="circular", padding_layers=named), pixels, [0], 64, Work()
    )
    network = load_network("vgg11_bn", "untrained")
    for name in named:
        network.get_submodule(name).padding_mode = "circular"
    assert answers.flatten().tolist() == network(normalise(pixels, "imagenet")).argmax(1).tolist()
    everywhere = predict_windows(config("vgg11_bn", padding="circular"), pixels, [0], 64, Work())
    assert not torch.equal(everywhere, answers)


def test_images_have_the_colours_that_the_weights_expect(generator):
    pixels = torch.randint(0, 256, (16, 3, 64, 64), generator=generator, dtype=torch.uint8)
    lite = config("timm/tf_efficientnet_lite0", "efficientnet-lite0")
    network = load_network(lite.arch, lite.weights)
    answers = predict_windows(lite, pixels, [0], 64, Work()).flatten().tolist()
    with torch.no_grad():
        assert answers == network((pixels - 127.0) / 128).argmax(1).tolist()
        assert answers != network(normalise(pixels, "imagenet")).argmax(1).tolist()


def test_embedded_weights_without_a_classifier_classify_nothing():
    with pytest.raises(ValueError) as raised:
        config("vgg16", "hed-bsds500").check(224)
    assert str(raised.value) == "weights 'hed-bsds500' come without those of the classifier"


@pytest.mark.parametrize("name", EMBEDDED)
def test_what_is_said_of_embedded_classifiers_is_so(name):
    expected = sketch_network(EMBEDDED[name].arch).state_dict().keys()
    assert EMBEDDED[name].classifies == (expected == read_embedded(name).keys())


def test_classifier_has_all_of_its_weights(tmp_path):
    state = load_network("resnet18", "untrained").state_dict()
    torch.save({n: t for n, t in state.items() if not n.startswith("fc")}, tmp_path / "w.pth")
    with pytest.raises(ValueError, match=r"does not fit the architecture \(missing: fc.bias, fc"):
        config(weights=str(tmp_path / "w.pth")).check(64)
    torch.save(state, tmp_path / "w.pth")
    config(weights=str(tmp_path / "w.pth")).check(64)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"padding": "none"}, "images of 64 px are too small for arch 'resnet18' with padding "
         "'none': the smallest image_size is 467 px"),
        ({"arch": f"{__name__}:Maps", "weights": "as-built"},
         f"arch '{__name__}:Maps' must return logits (n, k); got (1, 3, 64, 64)"),
        ({"arch": f"{__name__}:Pair", "weights": "as-built"},
         f"arch '{__name__}:Pair' must return logits (n, k); got tuple"),
    ],
)  # fmt: skip
def test_networks_that_do_not_classify_are_refused(changes, message):
    with pytest.raises(ValueError) as raised:
        config(**changes).check(64)
    assert str(raised.value) == message


class Maps(nn.Module):
    def forward(self, images):
        return images


class Pair(nn.Module):
    def forward(self, images):
        return images, images


def test_image_is_no_classifier():
    with pytest.raises(ValidationError, match="is no network: it can be read by posenet alone"):
        config("image", "none")
