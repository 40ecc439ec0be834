from pickle import UnpicklingError

import pytest
import torch
from skimage import data
from torch import nn
from torchvision.models import EfficientNet_B0_Weights
from torchvision.transforms.functional import center_crop, resize

from posinfo.networks.models import efficientnet_lite
from posinfo.networks.models.efficientnet_lite import ARCH, read_efficientnet_lite0
from posinfo.networks.models.embedded_weights import find_embedded
from posinfo.networks.models.normalisation import normalise
from posinfo.networks.models.weights import check_source, load_network, own_colours, weights_key

NAME = "efficientnet-lite0"
CLASSES = EfficientNet_B0_Weights.IMAGENET1K_V1.meta["categories"]


@pytest.fixture(scope="module")
def network():
    check_source(ARCH, NAME)
    return load_network(ARCH, NAME)


def test_photographs_are_recognised(network):
    """With ImageNet's colours espresso is .84, with symmetric padding .92 (and a missile .42).

    With an epsilon of 1e-5, the cat is a tiger cat.
    """
    photographs = [
        center_crop(resize(torch.from_numpy(pixels).permute(2, 0, 1), [224]), [224, 224])
        for pixels in (data.coffee(), data.chelsea(), data.rocket())
    ]
    shown = normalise(torch.stack(photographs), "imagenet", own_colours(ARCH, NAME))
    with torch.inference_mode():
        probability, label = network(shown).softmax(1).max(1)
    assert [CLASSES[index] for index in label] == ["espresso", "Egyptian cat", "missile"]
    assert probability.tolist() == pytest.approx([0.94, 0.39, 0.32], abs=0.01)


def test_network_is_tensorflows(network):
    norms = [layer for layer in network.modules() if isinstance(layer, nn.BatchNorm2d)]
    assert {layer.eps for layer in norms} == {1e-3}
    # at stride 2, TensorFlow pads an even side at its end alone: the last pixel is seen, and the
    # first window begins on the first
    image = torch.zeros(1, 3, 8, 8)
    image[..., 0, 0] = 1
    assert torch.equal(
        network.conv_stem(image)[0, :, 0, 0], network.conv_stem.weight[..., 0, 0].sum(1)
    )


def test_every_tensor_is_loaded(network):
    stored = torch.load(find_embedded(NAME), weights_only=True)
    state = network.state_dict()
    assert len(state) == len(stored) == 296
    assert all(torch.equal(*pair) for pair in zip(state.values(), stored.values(), strict=True))
    assert not network.training


def test_file_runs_no_code(tmp_path):
    torch.save(print, tmp_path / "w.pth")
    with pytest.raises(UnpicklingError, match="Weights only load failed"):
        read_efficientnet_lite0(tmp_path / "w.pth")


def test_network_that_timm_has_changed_is_refused(monkeypatch):
    monkeypatch.setattr(efficientnet_lite, "ARCH", "timm/tf_efficientnet_lite1")
    monkeypatch.setattr(efficientnet_lite.timm, "__version__", "2")
    path = find_embedded(NAME)
    with pytest.raises(ValueError) as raised:
        read_efficientnet_lite0(path)
    assert str(raised.value) == (f"{path} does not fit arch 'timm/tf_efficientnet_lite1' of timm 2")


def test_weights_belong_to_their_arch():
    for refuse in (check_source, load_network):
        with pytest.raises(ValueError) as raised:
            refuse("timm/efficientnet_lite0", NAME)
        assert str(raised.value) == (
            "weights 'efficientnet-lite0' belong to arch timm/tf_efficientnet_lite0; "
            "got arch 'timm/efficientnet_lite0'"
        )
    assert weights_key(ARCH, NAME, "mine").startswith("57934424")
