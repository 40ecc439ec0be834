import re

import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torchvision.models import resnet18, vgg16

from posinfo.networks.models.architectures import build_network
from posinfo.networks.models.augshift import AugShiftConfig, build_latent_classifier
from posinfo.networks.models.embedded_weights import read_embedded
from posinfo.networks.models.normalisation import IMAGENET_MEAN, IMAGENET_STD
from posinfo.networks.models.trained_file import with_colours
from posinfo.networks.models.weights import check_source, load_network, own_colours, weights_key


@pytest.fixture(scope="module")
def features():
    """A state dict of VGG-16 without its classifier."""
    torch.manual_seed(3)
    with torch.device("meta"):
        shapes = vgg16().features.state_dict()
    return {f"features.{name}": torch.randn(t.shape) for name, t in shapes.items()}


def same(network, features):
    state = network.state_dict()
    return all(torch.equal(state[name], tensor) for name, tensor in features.items())


def test_untrained_weights_follow_their_seed_and_leave_the_global_generator_alone():
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    first, again, other = (load_network("squeezenet1_1", "untrained", seed) for seed in (1, 1, 2))
    assert torch.equal(torch.rand(1), expected)
    assert torch.equal(first.features[0].weight, again.features[0].weight)
    assert not torch.equal(first.features[0].weight, other.features[0].weight)
    assert not first.training


@pytest.mark.parametrize("suffix", ["safetensors", "pth"])
def test_state_dict_without_classifier_is_loaded(features, tmp_path, suffix):
    path = tmp_path / f"w.{suffix}"
    save_file(features, path) if suffix == "safetensors" else torch.save(features, path)
    check_source("vgg16", str(path))
    assert same(load_network("vgg16", str(path)), features)


def test_state_dict_with_classifier_and_module_prefix_is_loaded(features, tmp_path):
    with torch.device("meta"):
        shapes = vgg16().classifier.state_dict()
    classifier = {
        f"classifier.{name}": torch.zeros(1).expand(t.shape) for name, t in shapes.items()
    }
    prefixed = {f"module.{name}": t for name, t in {**features, **classifier}.items()}
    torch.save(prefixed, tmp_path / "w.pth")
    assert same(load_network("vgg16", str(tmp_path / "w.pth")), features)


def test_legacy_files_and_half_precision_are_loaded(features, tmp_path):
    half = {name: tensor.bfloat16() for name, tensor in features.items()}
    torch.save(half, tmp_path / "w.pth", _use_new_zipfile_serialization=False)
    network = load_network("vgg16", str(tmp_path / "w.pth"))
    assert network.features[0].weight.dtype == torch.float32
    assert same(network, {name: tensor.float() for name, tensor in half.items()})


def test_embedded_weights_are_those_of_the_loaded_network():
    check_source("vgg16", "hed-bsds500")
    network = load_network("vgg16", "hed-bsds500")
    assert same(network, read_embedded("hed-bsds500"))
    assert not any(parameter.is_meta for parameter in network.features.parameters())


def test_misfit_names_the_keys(features, tmp_path):
    bad = {name: t for name, t in features.items() if name != "features.0.bias"}
    bad["extra.weight"] = torch.zeros(1)
    bad["features.2.bias"] = torch.zeros(3)
    save_file(bad, tmp_path / "w.safetensors")
    with pytest.raises(ValueError) as raised:
        check_source("vgg16", str(tmp_path / "w.safetensors"))
    assert str(raised.value) == (
        f"weights: {tmp_path / 'w.safetensors'} does not fit the architecture "
        "(missing: features.0.bias; unexpected: extra.weight; "
        "of another shape: features.2.bias (3,) instead of (64,))"
    )


@pytest.mark.parametrize(
    "wrapped",
    [
        lambda state: {"state_dict": state, "epoch": 3},
        lambda state: {"model": state},
        lambda state: {"model": {"state_dict": state}},
        lambda state: {f"module.{name}": tensor for name, tensor in state.items()},
        lambda state: {"state_dict": {f"model._orig_mod.{n}": t for n, t in state.items()}},
    ],
)
def test_state_dicts_of_training_frameworks_are_unwrapped(tmp_path, wrapped):
    state = small().state_dict()
    torch.save(wrapped(state), tmp_path / "w.pth")
    assert same(load_network(f"{__name__}:small", str(tmp_path / "w.pth")), state)


def test_names_of_a_network_are_no_wrapper(tmp_path):
    state = inner().state_dict()
    assert all(name.startswith("model.") for name in state)
    torch.save(state, tmp_path / "w.pth")
    assert same(load_network(f"{__name__}:inner", str(tmp_path / "w.pth")), state)


def small():
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))


def inner():
    network = nn.Module()
    network.model = small()
    return network


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("0.weight", lambda t: t.int(), "of another type: 0.weight int32 strided"),
        (
            "0.weight",
            lambda t: t.to(torch.complex64),
            "of another type: 0.weight complex64 strided",
        ),
        ("0.weight", lambda t: t.to_sparse(), "of another type: 0.weight float32 sparse_coo"),
        (
            "1.num_batches_tracked",
            lambda t: t.float(),
            "type: 1.num_batches_tracked float32 strided",
        ),
        ("1.running_var", lambda t: t * torch.nan, "not finite: 1.running_var"),
        ("0.bias", lambda t: t / 0, "not finite: 0.bias"),
        ("0.bias", lambda t: t.double() + 1e39, "not finite: 0.bias"),
    ],
)
def test_tensors_that_are_no_weights_are_named(tmp_path, name, change, message):
    state = small().state_dict()
    torch.save({**state, name: change(state[name])}, tmp_path / "w.pth")
    with pytest.raises(ValueError, match=re.escape(message)):
        check_source(f"{__name__}:small", str(tmp_path / "w.pth"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({0: torch.zeros(1)}, "w.pth must hold a state dict"),
        (b"junk", "w.pth is damaged, or holds more than tensors"),
        ([1, 2], "w.pth must hold a state dict"),
        (print, "w.pth is damaged, or holds more than tensors"),
    ],
)
def test_other_files_are_refused(tmp_path, content, message):
    path = tmp_path / "w.pth"
    path.write_bytes(content) if isinstance(content, bytes) else torch.save(content, path)
    with pytest.raises(ValueError, match=message):
        check_source("vgg16", str(path))


def test_missing_file_is_named():
    with pytest.raises(FileNotFoundError, match=r"^weights: there is no file nowhere\.pth$"):
        check_source("vgg16", "nowhere.pth")


def test_unknown_source_lists_the_known():
    with pytest.raises(ValueError) as raised:
        check_source("vgg16", "imagnet")
    assert str(raised.value) == (
        "weights must be one of untrained, imagenet, pretrained, hed-bsds500, efficientnet-lite0, "
        "as-built, a path ending in .safetensors, .pth, .pt; "
        "got 'imagnet' (did you mean 'imagenet'?)"
    )


def test_hed_weights_belong_to_vgg16():
    with pytest.raises(
        ValueError, match="^weights 'hed-bsds500' belong to arch vgg16; got arch 'vgg19'$"
    ):
        check_source("vgg19", "hed-bsds500")


def test_any_architecture_takes_its_state_dict_without_classifier_and_counters(tmp_path):
    torch.manual_seed(1)
    trained = resnet18()
    for module in trained.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_()
    kept = {
        name: tensor
        for name, tensor in trained.state_dict().items()
        if not name.startswith("fc.") and not name.endswith("num_batches_tracked")
    }
    save_file(kept, tmp_path / "w.safetensors")
    check_source("resnet18", str(tmp_path / "w.safetensors"))
    network = load_network("resnet18", str(tmp_path / "w.safetensors"))
    assert same(network, kept)
    images = torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    stages = nn.Sequential(*list(network.children())[:-2])
    expected = nn.Sequential(*list(trained.eval().children())[:-2])
    assert torch.equal(stages(images), expected(images))


def test_complete_file_makes_a_classifier_and_one_of_other_classes_leaves_it_out(tmp_path):
    torch.manual_seed(1)
    trained, path = resnet18(num_classes=1000).eval(), tmp_path / "w.pth"
    torch.save(trained.state_dict(), path)
    images = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(load_network("resnet18", str(path))(images), trained(images))
    torch.save(resnet18(num_classes=10).state_dict(), path)
    assert load_network("resnet18", str(path)).fc.weight.is_meta


@pytest.mark.parametrize(
    "arch", ["timm/test_convnext", "timm/resnetblur18"]
)  # with a hidden buffer
def test_networks_of_timm_take_a_seed_or_a_file(tmp_path, arch):
    trained, path = load_network(arch, "untrained", seed=3), str(tmp_path / "w.safetensors")
    again = load_network(arch, "untrained", seed=3).state_dict()
    assert all(torch.equal(again[name], t) for name, t in trained.state_dict().items())
    save_file(trained.state_dict(), path)
    check_source(arch, path)
    images = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(load_network(arch, path)(images), trained(images))
    other = load_network(arch, "untrained", seed=4)
    assert not torch.allclose(other(images), trained(images), atol=1e-2)


def test_key_of_a_file_follows_its_content_and_not_its_name(tmp_path):
    one, other = tmp_path / "one.pth", tmp_path / "other.safetensors"
    one.write_bytes(b"a" * 40), other.write_bytes(b"a" * 40)
    key = weights_key("vgg16", str(one), "a")
    assert weights_key("resnet18", str(other), "b") == key
    one.write_bytes(b"b" * 40)
    assert weights_key("vgg16", str(one), "a") != key
    with pytest.raises(FileNotFoundError, match=r"^backbones\.mine\.weights: there is no file"):
        weights_key("vgg16", "nowhere.pth", "backbones.mine.weights")


def test_keys_tell_sources_apart_and_fetch_nothing(monkeypatch):
    for name in (
        "torchvision.models._api.load_state_dict_from_url", "torch.load", "timm.create_model",
    ):  # fmt: skip
        monkeypatch.setattr(name, lambda *_, **__: pytest.fail("weights were read"))
    keys = {
        weights_key("vgg16", source, "a") for source in ("untrained", "imagenet", "hed-bsds500")
    }
    keys |= {weights_key("resnet18", "imagenet", "a"), weights_key("a.b:c", "as-built", "a")}
    keys |= {
        weights_key(f"timm/{arch}", "pretrained", "a")
        for arch in ("resnet18", "resnet18.a1_in1k", "resnet18.a2_in1k", "resnet34")
    }  # the first two are the same
    assert len(keys) == 8
    assert weights_key("vgg16", "imagenet", "a").startswith("https://")


def test_as_built_is_for_own_functions():
    with pytest.raises(ValueError, match=r"^weights 'as-built' are for arch package.module:functi"):
        check_source("vgg16", "as-built")
    own = "tests.networks.models.test_architectures:own_network"
    check_source(own, "as-built")
    assert isinstance(load_network(own, "as-built"), nn.Sequential)


def test_imagenet_weights_bring_their_own_colours(tmp_path):
    save_file({"weight": torch.ones(1)}, tmp_path / "plain.safetensors")
    assert own_colours("resnet18", str(tmp_path / "plain.safetensors")) is None
    assert own_colours("resnet18", "untrained") is None
    assert own_colours("resnet18", "imagenet") == (IMAGENET_MEAN, IMAGENET_STD)
    assert own_colours("efficientnet_v2_l", "imagenet") == ((0.5,) * 3, (0.5,) * 3)


def test_weights_of_timm_bring_its_colours(tmp_path):
    plain, trained = str(tmp_path / "plain.safetensors"), str(tmp_path / "trained.safetensors")
    save_file({"weight": torch.ones(1)}, plain)
    save_file(with_colours({}, torch.zeros(3), torch.ones(3)), trained)
    for weights in ("pretrained", plain, "w.pth"):
        assert own_colours("timm/resnet18", weights) == (IMAGENET_MEAN, IMAGENET_STD)
        assert own_colours("timm/vit_base_patch16_224", weights) == ((0.5,) * 3, (0.5,) * 3)
    assert own_colours("timm/vit_base_patch16_224", trained) == ((0.0,) * 3, (1.0,) * 3)
    assert own_colours("timm/vit_base_patch16_224", "untrained") is None


@pytest.mark.parametrize(
    ("method", "arch"),
    [
        ("augshift", "cifar_resnet18(width=3)"),
        ("augshift+blurpool", "cifar_resnet18_blurpool(width=3)"),
        ("fconv", "cifar_resnet18_fconv(width=3)"),
    ],
)
def test_networks_that_experiments_have_trained_are_backbones(tmp_path, method, arch):
    config = AugShiftConfig(method=method, width=3, latent_weight=1, loss="mean")
    trained = build_latent_classifier(config, 10, 7)
    weights = str(tmp_path / "trained.safetensors")
    colours = torch.tensor([0.25, 0.5, 0.75]), torch.tensor([0.125, 0.25, 0.5])
    save_file(with_colours(trained.state_dict(), *colours), weights)
    check_source(arch, weights)
    assert own_colours(arch, weights) == ((0.25, 0.5, 0.75), (0.125, 0.25, 0.5))
    loaded = load_network(arch, weights)
    for name, tensor in trained.maps.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], tensor), name
    images = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(loaded(images), trained.maps.eval()(images))
    for other in {"cifar_resnet18(width=3)", "cifar_resnet18_fconv(width=3)"} - {arch}:
        with pytest.raises(ValueError, match="does not fit the architecture"):
            check_source(other, weights)


@pytest.mark.parametrize(
    ("stored", "arch", "misfit"),
    [
        ("cifar_resnet18(width=3)", "cifar_resnet18_fconv(width=3)", "missing"),
        ("cifar_resnet18_fconv(width=3)", "cifar_resnet18(width=3)", "unexpected"),
    ],
)
def test_weights_with_and_without_full_padding_are_told_apart(tmp_path, stored, arch, misfit):
    path = str(tmp_path / "w.safetensors")
    save_file(build_network(stored).state_dict(), path)
    # as posenet asks: for what its blocks depend on, which the marker is not
    needed = frozenset(name for name, _ in build_network(arch).named_parameters())
    check_source(stored, path, needed)
    for refuse in (check_source, lambda *names: load_network(*names[:2], needed=names[2])):
        with pytest.raises(ValueError) as raised:
            refuse(arch, path, needed)
        assert str(raised.value) == (
            f"weights: {path} does not fit the architecture ({misfit}: padded_fully)"
        )
