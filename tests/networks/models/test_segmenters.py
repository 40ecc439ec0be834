import numpy as np
import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import save_file
from torchvision.models import segmentation as torchvision_segmentation

from posinfo.networks.models.normalisation import IMAGENET_MEAN, IMAGENET_STD
from posinfo.networks.models.segmenter_weights import (
    load_segmenter,
    segmenter_colours,
    segmenter_weights_key,
)
from posinfo.networks.models.segmenters import (
    SEGMENTERS,
    Coordinates,
    SegmenterConfig,
    build_segmenter,
)
from posinfo.networks.models.state_file import fitting_state
from posinfo.networks.models.trained_file import with_colours
from posinfo.networks.models.weights import load_network


def config(**changes):
    small = {"arch": "small_deeplab", "width": 4, "padding": "zero", "planted": 0}
    return SegmenterConfig.model_validate({**small, **changes})


@pytest.mark.parametrize("arch", SEGMENTERS)
def test_every_segmenter_has_its_latent(arch):
    chosen = config(arch=arch, width=4 if arch == "small_deeplab" else None)
    found = []
    with torch.device("meta"):
        network = SEGMENTERS[arch].build(chosen, 3).eval().to("meta")
    network.get_submodule(chosen.latent).register_forward_hook(lambda *call: found.append(call[2]))
    logits = network(torch.zeros(1, 3, 64, 128, device="meta"))["out"]
    assert logits.shape == (1, 3, 64, 128)
    assert found[0].ndim == 4


def test_the_small_latent_has_a_stride_of_8():
    network = build_segmenter(config(planted=3), classes=5, seed=0).eval()
    with torch.inference_mode():
        assert network.backbone(torch.rand(1, 3, 64, 128))["out"].shape == (1, 8 * 4 + 3, 8, 16)
        assert network(torch.rand(1, 3, 64, 128))["out"].shape == (1, 5, 64, 128)


def test_a_pretrained_trunk_stays_as_it_was():
    network = build_segmenter(config(arch="lite0_deeplab", width=None), classes=3, seed=0)
    assert network.training and not network.backbone.pretrained.trunk.training
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    optimiser = torch.optim.AdamW(network.parameters(), 0.1)
    images = torch.rand(2, 3, 32, 64, generator=torch.Generator().manual_seed(0))
    network(images)["out"].square().mean().backward()
    optimiser.step()
    changed = {
        n for n, tensor in network.state_dict().items() if not torch.equal(tensor, before[n])
    }
    assert changed and all(name.startswith("classifier.") for name in changed)
    with torch.inference_mode():
        latent = network.backbone(images)["out"]
        lite = load_network("timm/tf_efficientnet_lite0", "efficientnet-lite0")
        twice = torch.nn.functional.interpolate(images, scale_factor=2, mode="bilinear")
        expected = lite.blocks[:5](lite.bn1(lite.conv_stem(twice)))
    assert latent.shape == (2, 112, 4, 8)
    torch.testing.assert_close(latent, expected)


def test_other_networks_have_no_width():
    assert config(arch="fcn_resnet50") == config(arch="fcn_resnet50", width=None)


def test_planted_channels_are_distances_to_the_left_and_right():
    maps = torch.rand(2, 1, 3, 4)
    planted = Coordinates(3)(maps)
    assert torch.equal(planted[:, :1], maps)
    rising = torch.tensor([0.125, 0.375, 0.625, 0.875])
    for index, expected in enumerate((rising, rising.flip(0), rising**2), start=1):
        assert torch.equal(planted[:, index], expected.expand(2, 3, 4))


def test_weights_depend_on_the_seed_alone():
    states = []
    for seed in (0, 0, 1):
        torch.rand(1)  # what was drawn before does not matter
        states.append(build_segmenter(config(), 3, seed).state_dict()["backbone.conv1.weight"])
    assert torch.equal(states[0], states[1])
    assert not torch.equal(states[0], states[2])


@torch.inference_mode()
def test_circular_segmenters_see_no_border():
    """Shifted by a multiple of the stride, the latent and what the head makes of it shift along."""
    images = torch.rand(1, 3, 64, 128, generator=torch.Generator().manual_seed(0))
    differences = {}
    for padding in ("circular", "zero"):
        network = build_segmenter(config(padding=padding), classes=3, seed=0).eval()
        found = []
        network.classifier.register_forward_hook(lambda *call, to=found: to.append(call[2]))
        network(images)
        network(images.roll((16, 40), (2, 3)))
        scale = found[0].std()
        differences[padding] = (found[0].roll((2, 5), (2, 3)) - found[1]).abs().max() / scale
    assert differences["circular"] < 1e-4
    assert differences["zero"] > 0.01


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"width": None}, "arch 'small_deeplab' needs a width"),
        ({"arch": "fcn_resnet50", "width": None, "planted": 2}, "planted is a setting of small"),
        ({"arch": "deeplab"}, "arch must be one of small_deeplab"),
        ({"padding": "mirror"}, "padding must be one of"),
    ],
)
def test_what_does_not_fit_is_refused(changes, message):
    with pytest.raises(ValidationError, match=message):
        config(**changes)


class TestWeightsOfAFile:
    """In torchvision's layout, and in that of the paper's released code."""

    @staticmethod
    def stored(tmp_path, content):
        path = tmp_path / "checkpoint.pth"
        torch.save(content, path)
        return path

    def released(self, tmp_path, **changes):
        """As its training saves a checkpoint: names of its head are nested once more."""
        network = build_segmenter(config(), classes=5, seed=3)
        state = {
            name.replace("classifier.", "classifier.classifier.", 1): tensor
            for name, tensor in network.state_dict().items()
        }
        content = {
            "cur_itrs": 30000, "model_state": state, "optimizer_state": {"state": {}},
            "scheduler_state": {"last_epoch": 1}, "best_score": np.float64(0.74), **changes,
        }  # fmt: skip
        return network, self.stored(tmp_path, content)

    def test_of_the_released_code(self, tmp_path):
        network, path = self.released(tmp_path)
        loaded = load_segmenter(config(weights=str(path)), classes=5)
        assert not loaded.training
        for name, tensor in network.state_dict().items():
            assert torch.equal(loaded.state_dict()[name], tensor), name

    def test_of_torchvision_s_layout(self, tmp_path):
        network = build_segmenter(config(), classes=5, seed=3)
        path = self.stored(tmp_path, network.state_dict())
        loaded = load_segmenter(config(weights=str(path)), classes=5)
        images = torch.rand(1, 3, 32, 64)
        with torch.inference_mode():
            assert torch.equal(loaded(images)["out"], network.eval()(images)["out"])

    def test_of_a_training_of_this_project(self, tmp_path):
        network = build_segmenter(config(), classes=5, seed=3)
        colours = torch.tensor([0.1, 0.2, 0.3]), torch.tensor([0.4, 0.5, 0.6])
        path = tmp_path / "tensors.safetensors"
        save_file(with_colours(network.state_dict(), *colours), path)
        loaded = load_segmenter(config(weights=str(path)), classes=5).state_dict()
        assert all(torch.equal(loaded[n], tensor) for n, tensor in network.state_dict().items())

    def test_a_trained_trunk_is_a_backbone_of_posenet(self, tmp_path):
        """`posenet --env=segmenters` reads it."""
        network = build_segmenter(config(), classes=5, seed=3)
        path = tmp_path / "tensors.safetensors"
        save_file(with_colours(network.state_dict(), torch.zeros(3), torch.ones(3)), path)
        loaded = load_network("segmenter_resnet18(width=4)", str(path))
        assert torch.equal(loaded.conv1.weight, network.state_dict()["backbone.conv1.weight"])
        untrained = load_network("segmenter_resnet18(width=4)", "untrained", seed=3)
        assert all(
            torch.equal(tensor, untrained.state_dict()[name])
            for name, tensor in loaded.state_dict().items()
        ), "what is called untrained is what the training began with"

    def test_colours_are_those_of_the_file_the_trunk_or_imagenet(self, tmp_path):
        path = tmp_path / "tensors.safetensors"
        save_file(with_colours({}, torch.tensor([0.1, 0.2, 0.3]), torch.ones(3)), path)
        own, _ = segmenter_colours(config(weights=str(path)))
        assert own == pytest.approx((0.1, 0.2, 0.3))
        lite = config(arch="lite0_deeplab", width=None, weights="mine.pth")
        assert segmenter_colours(lite) == lite.colours
        assert segmenter_colours(config(weights="mine.pth")) == (IMAGENET_MEAN, IMAGENET_STD)

    def test_another_number_of_classes_is_refused_with_file_and_key(self, tmp_path):
        _, path = self.released(tmp_path)
        with pytest.raises(ValueError, match=rf"{path} does not fit.*classifier.4.*\(5,\)"):
            load_segmenter(config(weights=str(path)), classes=19)

    def test_code_is_not_run(self, tmp_path):
        _, path = self.released(tmp_path, best_score=print)
        with pytest.raises(ValueError, match="holds more than tensors"):
            load_segmenter(config(weights=str(path)), classes=5)

    def test_an_auxiliary_head_of_the_network_s_own_is_kept(self, tmp_path):
        own = torchvision_segmentation.fcn_resnet50(weights_backbone=None, aux_loss=True)
        state = own.state_dict()
        path = self.stored(tmp_path, state)
        expected = dict(state)
        found = fitting_state(path, expected, frozenset(expected), left_out=("aux_classifier.",))
        assert found.keys() == state.keys()

    def test_an_auxiliary_head_is_left_out(self, tmp_path):
        """Torchvision's own files have one."""
        own = config(arch="lraspp_mobilenet_v3_large", width=None)
        state = build_segmenter(own, classes=3, seed=3).state_dict()
        auxiliary = {"aux_classifier.0.weight": torch.zeros(2)}
        path = self.stored(tmp_path, {**state, **auxiliary})
        loaded = load_segmenter(own.model_copy(update={"weights": str(path)}), classes=3)
        assert loaded.state_dict().keys() == state.keys()


class TestWeightsOfTorchvision:
    """Of COCO, with VOC's classes; nothing is downloaded, what the file would hold is given."""

    NAME = "COCO_WITH_VOC_LABELS_V1"

    @pytest.fixture
    def own(self, monkeypatch):
        network = torchvision_segmentation.fcn_resnet50(weights_backbone=None, aux_loss=True)
        release = torchvision_segmentation.FCN_ResNet50_Weights[self.NAME]
        monkeypatch.setattr(type(release), "get_state_dict", lambda *_, **__: network.state_dict())
        return network

    def test_are_loaded_by_name_without_the_auxiliary_head(self, own):
        chosen = config(arch="fcn_resnet50", weights=self.NAME, padding="as_built")
        loaded = load_segmenter(chosen, classes=21).state_dict()
        assert torch.equal(loaded["classifier.4.weight"], own.classifier[4].weight)
        assert not any(name.startswith("aux") for name in loaded)
        assert segmenter_weights_key(chosen, "weights").startswith("https://")

    def test_of_other_classes_are_refused(self, own):
        with pytest.raises(ValueError, match="have 21 classes, the labels have 19"):
            load_segmenter(config(arch="fcn_resnet50", weights=self.NAME), classes=19)

    @pytest.mark.parametrize("arch", ["fcn_resnet50", "small_deeplab"])
    def test_other_names_are_refused(self, arch):
        with pytest.raises(ValueError, match=r"row: weights must be one of .*a path ending in"):
            segmenter_weights_key(config(arch=arch, weights="coco"), "row: weights")


class TestNetworksOfTheUsersOwn:
    """``package.module:function`` with a named layer."""

    ARCH = "torchvision.models:resnet18"

    def test_are_built_with_their_layer(self):
        chosen = config(arch=self.ARCH, layer="layer3", weights="as-built")
        network = load_segmenter(chosen, classes=21)
        assert chosen.latent == "layer3" and not network.training
        assert segmenter_weights_key(chosen, "weights") == "as-built"

    def test_need_a_layer_that_is_there(self):
        with pytest.raises(ValidationError, match="needs a layer, the name of its latent"):
            config(arch=self.ARCH)
        with pytest.raises(ValueError, match=r"has no layer 'layer9'; near .*layer4"):
            build_segmenter(config(arch=self.ARCH, layer="layer9"), classes=21, seed=0)

    def test_another_layer_of_a_known_network(self):
        assert config(layer="backbone.layer3").latent == "backbone.layer3"
        assert config().latent == "backbone.latent"
