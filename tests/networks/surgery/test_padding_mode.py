"""What is called is changed, or refused by name: nothing is left in place in silence."""

import copy
import warnings
from threading import Event, Thread

import pytest
import torch
from timm import create_model
from torch import nn
from torch.nn import functional
from torch.nn.utils import parametrizations
from torchvision.models.detection import fasterrcnn_mobilenet_v3_large_320_fpn
from torchvision.models.segmentation import deeplabv3_mobilenet_v3_large
from torchvision.ops import deform_conv2d

from posinfo.networks.surgery.padding import PADDINGS, repad
from posinfo.networks.surgery.padding_mode import MapTooSmallError, PaddedCall

CHANGED = [kind for kind in PADDINGS if kind not in ("as_built", "zero")]


class Calls(nn.Module):
    """Calls a function of maps and a weight."""

    def __init__(self, function, *shape):
        super().__init__()
        self.function, self.weight = function, nn.Parameter(torch.randn(shape))

    def forward(self, maps):
        return self.function(maps, self.weight)


PADDING_CALLS = {
    "conv2d": (lambda x, w: functional.conv2d(x, w, padding=1), 4, 4, 3, 3),
    "same": (lambda x, w: torch.conv2d(x, w, None, 1, "same"), 4, 4, 3, 3),
    "convolution": (
        lambda x, w: torch.convolution(x, w, None, (1, 1), (1, 1), (1, 1), False, (0, 0), 1),
        4, 4, 3, 3,
    ),
    "torch.max_pool2d": (lambda x, w: torch.max_pool2d(x, 3, 1, 1), 1),
    "max_pool2d": (lambda x, w: functional.max_pool2d(x, 3, 1, padding=1), 1),
    "avg_pool2d": (lambda x, w: functional.avg_pool2d(x, 3, stride=1, padding=1), 1),
    "pad": (lambda x, w: torch.conv2d(functional.pad(x, (2, 0, 1, 1)), w), 4, 4, 3, 3),
    "constant_pad_nd": (
        lambda x, w: torch.conv2d(torch.constant_pad_nd(x, (1, 1, 1, 1)), w), 4, 4, 3, 3,
    ),
    "reflection": (
        lambda x, w: torch.conv2d(functional.pad(x, (1,) * 4, "reflect"), w), 4, 4, 3, 3,
    ),
}  # fmt: skip


@pytest.fixture
def maps(generator):
    torch.manual_seed(0)
    return torch.randn(2, 4, 12, 12, generator=generator)


@pytest.mark.parametrize("name", PADDING_CALLS)
def test_circular_call_commutes_with_circular_shifts(name, maps):
    torch.manual_seed(1)
    network = Calls(*PADDING_CALLS[name])
    moved = maps.roll((3, 5), (2, 3))
    circular = repad(network, "circular")
    torch.testing.assert_close(circular(moved), circular(maps).roll((3, 5), (2, 3)))
    assert (network(moved) - network(maps).roll((3, 5), (2, 3))).abs().max() > 0.1


@pytest.mark.parametrize("name", [name for name in PADDING_CALLS if name != "reflection"])
def test_call_without_padding_is_the_middle_of_the_padded_one(name, maps):
    torch.manual_seed(1)
    network = Calls(*PADDING_CALLS[name])
    built, unpadded = network(maps), repad(network, "none")(maps)
    height, width = unpadded.shape[2:]
    assert (height, width) < built.shape[2:]
    rows = slice(1, 1 + height)
    columns = slice(2, 2 + width) if name == "pad" else slice(1, 1 + width)
    torch.testing.assert_close(unpadded, built[:, :, rows, columns])


@pytest.mark.parametrize("pool", [functional.max_pool2d, functional.avg_pool2d])
def test_ceil_mode_is_padding(pool, maps):
    """Twelve pixels hold two whole windows of five, and a part of a third."""
    network = Calls(lambda x, w: pool(x, 5, 5, ceil_mode=True), 1)
    assert network(maps).shape[2:] == (3, 3)
    torch.testing.assert_close(repad(network, "none")(maps), pool(maps, 5, 5))
    reflected = functional.pad(maps, (0, 3, 0, 3), "reflect")
    torch.testing.assert_close(repad(network, "reflect")(maps), pool(reflected, 5, 5))


REFUSED = {
    "conv_transpose2d": (lambda x, w: functional.conv_transpose2d(x, w, stride=2), 4, 4, 3, 3),
    "convolution": (
        lambda x, w: torch.convolution(x, w, None, (2, 2), (1, 1), (1, 1), True, (0, 0), 1),
        4, 4, 3, 3,
    ),
    "conv1d": (lambda x, w: functional.conv1d(x.flatten(2), w, padding=1), 4, 4, 3),
    "conv3d": (
        lambda x, w: functional.conv3d(x[:, :, None], w, None, 1, "same"), 4, 4, 1, 3, 3,
    ),
    "conv3d middle": (
        lambda x, w: functional.conv3d(x[:, :, None], w, padding=(0, 1, 0)), 4, 4, 1, 3, 1,
    ),
    "max_pool3d_with_indices": (
        lambda x, w: functional.max_pool3d(x, 3, 1, 1, return_indices=True)[0], 1,
    ),
    "unfold": (lambda x, w: functional.unfold(x, 3, padding=1), 1),
    "fold": (lambda x, w: functional.fold(x.new_ones(2, 4, 12), (2, 3), 2, 1, 1), 1),
    "avg_pool1d": (lambda x, w: torch.avg_pool1d(x.flatten(2), 3, 1, 1), 1),
    "max_pool3d": (lambda x, w: functional.max_pool3d(x, 3, 1, 1), 1),
    "max_pool2d_with_indices": (
        lambda x, w: functional.max_pool2d(x, 3, 1, 1, return_indices=True)[0], 1,
    ),
    # what no function of PyTorch shows, but the operator does
    "conv_transpose2d dilation": (
        lambda x, w: functional.conv_transpose2d(x, w, stride=2, dilation=2), 4, 4, 2, 2,
    ),
    "conv_transpose2d output_padding": (
        lambda x, w: functional.conv_transpose2d(x, w, stride=2, output_padding=1), 4, 4, 2, 2,
    ),
    "conv_transpose1d": (
        lambda x, w: functional.conv_transpose1d(x.flatten(2), w, padding=1, stride=2), 4, 4, 2,
    ),
    "aten.convolution": (
        lambda x, w: torch.ops.aten.convolution(
            x, w, None, [1, 1], [1, 1], [1, 1], False, [0, 0], 1
        ), 4, 4, 3, 3,
    ),
    "aten.conv2d": (lambda x, w: torch.ops.aten.conv2d(x, w, None, [1, 1], "same"), 4, 4, 3, 3),
    "aten.avg_pool2d": (lambda x, w: torch.ops.aten.avg_pool2d(x, [3, 3], [1, 1], [1, 1]), 1),
    "aten.reflection_pad2d": (lambda x, w: torch.ops.aten.reflection_pad2d(x, [1] * 4), 1),
    "fold overlap": (
        lambda x, w: functional.fold(functional.unfold(x, 3), x.shape[2:], 3), 1,
    ),
    "fold dilation": (
        lambda x, w: functional.fold(
            functional.unfold(x, 2, dilation=2, stride=2), x.shape[2:], 2, dilation=2, stride=2
        ), 1,
    ),
    "lp_pool2d": (lambda x, w: functional.lp_pool2d(x, 2, 7, 7, ceil_mode=True), 1),
    "max_pool1d": (
        lambda x, w: functional.max_pool1d(x.flatten(2), 7, 7, ceil_mode=True), 1,
    ),
    "deform_conv2d": (
        lambda x, w: deform_conv2d(x, x.new_zeros(2, 6, *x.shape[2:]), w, padding=(0, 1)),
        4, 4, 1, 3,
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", ["none", "circular"])
@pytest.mark.parametrize("name", REFUSED)
def test_padding_that_cannot_be_changed_is_refused_by_its_layer(name, kind, maps):
    network = nn.Sequential(Calls(PADDING_CALLS["conv2d"][0], 4, 4, 3, 3), Calls(*REFUSED[name]))
    with pytest.raises(ValueError) as raised:
        repad(network, kind)(maps)
    function = name.split()[0].removeprefix("aten.")
    assert str(raised.value) == (
        f"padding {kind!r}: there is no such padding for {function} in layer '1'; "
        "name the layers that are to be changed"
    )
    only = repad(network, kind, layers=["0"])
    with torch.no_grad():
        assert only(maps).shape[0] in (1, 2)
    assert [call.layer for call in only.padded_calls] == ["0"]


ALLOWED = {
    "unpadded": lambda x, w: torch.ops.aten.convolution(
        x, w, None, [1, 1], [0, 0], [1, 1], False, [0, 0], 1
    ),
    "valid": lambda x, w: torch.ops.aten.conv2d(x, w, None, [1, 1], "valid"),
    "exact ceil": lambda x, w: functional.lp_pool2d(x, 2, 2, 2, ceil_mode=True),
    "fold": lambda x, w: functional.fold(functional.unfold(x, 3, stride=3), (12, 12), 3, stride=3),
    "local_response_norm": lambda x, w: functional.local_response_norm(x, 3),
    "crop": lambda x, w: torch.ops.aten.constant_pad_nd(x, [-1, -1, 0, 0]),
    "3d": lambda x, w: functional.conv3d(x[:, :, None], w[:, :, None]),
    "backward": lambda x, w: torch.autograd.grad(
        torch.conv2d(x.requires_grad_(), w, padding=1).sum(), x
    )[0],
}


@pytest.mark.parametrize("name", ALLOWED)
def test_operators_that_pad_nothing_are_left_alone(name, maps):
    network = nn.Sequential(nn.Conv2d(4, 4, 3, padding=1), Calls(ALLOWED[name], 4, 4, 3, 3))
    assert repad(network, "reflect")(maps).shape[0] == 2


class Scripted(nn.Module):
    """Calls a function of TorchScript; catches what it raises, if it is to."""

    def __init__(self, catches):
        super().__init__()
        self.weight, self.catches = nn.Parameter(torch.randn(4, 4, 3, 3)), catches

    def forward(self, maps):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # TorchScript is deprecated
            function = torch.jit.script(padded_conv)
        try:
            return function(maps, self.weight)
        except RuntimeError:
            if not self.catches:
                raise
            return maps


def padded_conv(maps: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    return torch.conv2d(maps, weight, None, [1, 1], [1, 1])


@pytest.mark.parametrize("catches", [False, True])
def test_padding_inside_of_a_scripted_function_is_refused(catches, maps):
    network = nn.Sequential(nn.Conv2d(4, 4, 3, padding=1), Scripted(catches))
    with pytest.raises(ValueError) as raised:
        repad(network, "circular")(maps)
    assert str(raised.value) == (
        "padding 'circular': there is no such padding for convolution in layer '1'; "
        "name the layers that are to be changed"
    )


def test_layers_of_another_thread_are_its_own(maps):
    """Hooks are those of the whole process, and must not follow two forward passes at once."""
    inside, leave = Event(), Event()

    class Waits(nn.Module):
        def forward(self, x):
            inside.set()
            leave.wait(10)
            return x

    class Meanwhile(nn.Module):
        def forward(self, x):
            thread = Thread(target=self.waits, args=(x,))
            thread.start()
            inside.wait(10)
            padded = functional.max_pool2d(x, 3, 1, 1)
            leave.set()
            thread.join()
            return padded

    meanwhile = Meanwhile()
    meanwhile.waits = Waits()
    repadded = repad(nn.Sequential(meanwhile), "none")
    repadded(maps)
    assert repadded.padded_calls == [PaddedCall("0", "max_pool2d", (1, 1, 1, 1))]


def test_padding_by_its_name_is_seen_where_operators_keep_it(maps):
    network = Calls(lambda x, w: torch.ops.aten.conv2d(x, w, None, [1, 1], "same"), 4, 4, 3, 3)
    with torch.inference_mode(), pytest.raises(ValueError, match="no such padding for conv2d"):
        repad(network, "circular")(maps)


def test_windows_that_stand_side_by_side_have_no_border(maps):
    network = nn.Sequential(nn.Conv2d(4, 4, 3, padding=1), nn.ConvTranspose2d(4, 2, 2, stride=2))
    circular = repad(network, "circular")
    moved = circular(maps.roll((3, 5), (2, 3)))
    torch.testing.assert_close(moved, circular(maps).roll((6, 10), (2, 3)))


@pytest.mark.parametrize("kind", ["reflect", "replicate", "circular"])
def test_each_edge_is_padded_by_its_own_number_of_pixels(kind, maps):
    network = Calls(lambda x, w: functional.pad(x, (1, 2, 3, 4)), 1)
    expected = functional.pad(maps, (1, 2, 3, 4), kind)
    assert torch.equal(repad(network, kind)(maps), expected)
    rows = repad(Calls(lambda x, w: functional.pad(x, (1, 2)), 1), kind)(maps)
    assert torch.equal(rows, functional.pad(maps, (1, 2, 0, 0), kind))


def test_other_axes_are_not_padded_in_silence(maps):
    network = Calls(lambda x, w: functional.pad(x, (0, 0, 0, 1, 0, 1)), 1)
    with pytest.raises(ValueError) as raised:
        repad(network, "reflect")(maps)
    assert str(raised.value) == (
        "padding 'reflect': rows and columns are not all that is padded by pad "
        "in the network's own forward"
    )
    channels = Calls(
        lambda x, w: functional.pad(torch.conv2d(x, w, padding=1), (0,) * 5 + (2,)), 4, 4, 3, 3
    )
    assert repad(channels, "reflect")(maps).shape == (2, 6, 12, 12)


def test_padded_map_that_meets_no_convolution_is_refused_where_its_zeros_would_count(maps):
    network = Calls(lambda x, w: torch.conv2d(functional.pad(x, (1,) * 4).relu(), w), 4, 4, 3, 3)
    with pytest.raises(ValueError) as raised:
        repad(network, "partial")(maps)
    assert str(raised.value) == (
        "padding 'partial': a padded map meets no convolution but relu in the network's own forward"
    )


BRANCHES = {
    "add": lambda x, y: x + y,
    "add alpha": lambda x, y: torch.add(x, y, alpha=2),
    "add_": lambda x, y: x.clone().add_(y),
    "iadd": lambda x, y: x.clone().__iadd__(y),
    "sub": lambda x, y: x - y,
    "mul": lambda x, y: x * y,
    "div": lambda x, y: x / (y.square() + 1),
    "maximum": torch.maximum,
    "where": lambda x, y: torch.where(x > 0, x, y),
    "cat": lambda x, y: torch.cat([x, y], 1),
    "cat dim=-3": lambda x, y: torch.cat((x, y), dim=-3),
    "concatenate": lambda x, y: torch.concatenate([x, y], 1),
    "stack": lambda x, y: torch.stack([x, y]),
}


@pytest.mark.parametrize("name", BRANCHES)
@pytest.mark.parametrize("wider_first", [True, False])
def test_branches_are_cropped_around_their_centres(name, wider_first, maps):
    torch.manual_seed(1)
    weight, meet = torch.randn(4, 4, 3, 3), BRANCHES[name]

    def branches(x, w):
        other = torch.conv2d(x, w, padding=1)
        return meet(x, other) if wider_first else meet(other, x)

    network = Calls(branches, 4, 4, 3, 3)
    network.weight.data.copy_(weight)
    inner, valid = maps[:, :, 1:-1, 1:-1], torch.conv2d(maps, weight)
    expected = meet(inner, valid) if wider_first else meet(valid, inner)
    torch.testing.assert_close(repad(network, "none")(maps), expected)


@pytest.mark.parametrize(
    "spread",
    [
        lambda x, w: (y := torch.conv2d(x, w, padding=1)) + y.mean((2, 3), keepdim=True),
        lambda x, w: torch.conv2d(x, w, padding=1) + w[None, 0, :, :1, :1],
        lambda x, w: torch.conv2d(x, w, padding=1) * x.amax(2, keepdim=True)[..., 1:-1].sigmoid(),
    ],
)
def test_what_is_spread_over_a_map_does_not_crop_it(spread, maps):
    assert repad(Calls(spread, 4, 4, 3, 3), "none")(maps).shape == (2, 4, 10, 10)


def test_maps_that_are_joined_along_a_side_are_no_branches(maps):
    network = Calls(lambda x, w: torch.cat([x, torch.conv2d(x, w, padding=1)], dim=2), 4, 4, 3, 3)
    with pytest.raises(ValueError, match="^padding 'none': maps of 10x10 px and 12x12 px meet in"):
        repad(network, "none")(maps)


def test_branches_that_meet_elsewhere_are_refused_by_name(maps):
    network = Calls(lambda x, w: torch.hypot(x, torch.conv2d(x, w, padding=1)), 4, 4, 3, 3)
    with pytest.raises(ValueError) as raised:
        repad(network, "none")(maps)
    assert str(raised.value) == (
        "padding 'none': maps of 10x10 px and 12x12 px meet in hypot in the network's own forward"
    )


def test_a_branch_that_is_used_up_is_not_spread(maps):
    network = Calls(lambda x, w: x + torch.conv2d(x, w, padding=1), 4, 4, 3, 3)
    with pytest.raises(MapTooSmallError) as raised:
        repad(network, "none")(maps[:, :, :3, :3])
    assert str(raised.value) == (
        "padding 'none': a branch is used up before add in the network's own forward"
    )


@pytest.mark.parametrize("change", ["add_", "copy_", "__iadd__"])
def test_map_whose_middle_alone_was_changed_is_not_read_again(change, maps):
    def changes(x, w, returned):
        wide = x.clone()
        middle = getattr(wide, change)(torch.conv2d(x, w, padding=1))
        return middle if returned else wide.relu()

    used = repad(Calls(lambda x, w: changes(x, w, True), 4, 4, 3, 3), "none")
    assert used(maps).shape == (2, 4, 10, 10)
    with pytest.raises(ValueError) as raised:
        repad(Calls(lambda x, w: changes(x, w, False), 4, 4, 3, 3), "none")(maps)
    assert str(raised.value) == (
        "padding 'none': a map whose middle alone was changed is read by relu "
        "in the network's own forward"
    )


@pytest.mark.parametrize(("kind", "least"), [("reflect", 4), ("circular", 3), ("replicate", 1)])
def test_map_that_is_smaller_than_its_padding_is_refused(kind, least, maps):
    network = repad(nn.Sequential(nn.Conv2d(4, 4, 7, padding=3)), kind)
    assert network(maps[:, :, :least, :least]).shape == (2, 4, least, least)
    if least > 1:
        less = least - 1
        with pytest.raises(MapTooSmallError) as raised:
            network(maps[:, :, :less, :less])
        assert str(raised.value) == (
            f"padding {kind!r}: maps of {less}x{less} px are too small for 3 px of padding in "
            "conv2d in layer '0'"
        )


def test_says_what_it_padded(maps):
    network = nn.Sequential(nn.Conv2d(4, 4, 3, padding=(1, 2)), nn.ReLU(), nn.MaxPool2d(3, 2, 1))
    repadded = repad(network, "reflect")
    for _ in range(2):
        repadded(maps)
        assert repadded.padded_calls == [
            PaddedCall("0", "conv2d", (2, 2, 1, 1)), PaddedCall("2", "max_pool2d", (1, 1, 1, 1)),
        ]  # fmt: skip


def test_named_layers_alone(maps):
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Sequential(nn.Conv2d(4, 4, 3, padding=1)), nn.Conv2d(4, 4, 3, padding=1)
    )
    expected = network[1](functional.conv2d(functional.pad(maps, (1,) * 4, "circular"),
                                            network[0][0].weight, network[0][0].bias))  # fmt: skip
    torch.testing.assert_close(repad(network, "circular", ["0"])(maps), expected)
    with pytest.raises(ValueError, match=r"^the network has no layer '0.1'; near or among"):
        repad(network, "circular", ["0.1"])


def test_named_layer_is_no_beginning_of_another_name(maps):
    layers = [nn.Conv2d(4, 4, 3, padding=1) for _ in range(11)]
    repadded = repad(nn.Sequential(*layers), "circular", ["1"])
    repadded(maps)
    assert [call.layer for call in repadded.padded_calls] == ["1"]


@pytest.mark.parametrize("kind", ["zero", "circular"])
def test_named_layer_that_pads_nothing_is_refused(kind, maps):
    network = nn.Sequential(nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(4, 4, 3))
    with pytest.raises(ValueError) as raised:
        repad(network, kind, ["0", "1"])(maps)
    assert str(raised.value) == f"padding {kind!r}: layer '1' pads nothing"


@pytest.mark.parametrize(
    "parametrised", [parametrizations.spectral_norm, parametrizations.weight_norm]
)
def test_parametrised_layers_and_hooks_are_kept(parametrised, maps):
    network = nn.Sequential(parametrised(nn.Conv2d(4, 4, 3, padding=1))).eval()
    network[0].register_forward_hook(lambda module, inputs, output: output + 1)
    built = nn.Conv2d(4, 4, 3, padding=1, padding_mode="circular")
    built.weight.data, built.bias.data = network[0].weight.data, network[0].bias.data + 1
    repadded = repad(network, "circular")
    torch.testing.assert_close(repadded(maps), built(maps))
    assert repadded.state_dict().keys() == network.state_dict().keys()
    repadded.load_state_dict(network.state_dict())


def test_copies_of_a_repadded_network_are_repadded(maps):
    repadded = repad(nn.Sequential(nn.Conv2d(4, 4, 3, padding=1)), "circular")
    again = copy.deepcopy(repadded)
    assert torch.equal(again(maps), repadded(maps))
    assert torch.equal(repad(repadded, "as_built")(maps), repadded(maps))
    again.get_submodule("0").weight.data.zero_()
    assert repadded.get_submodule("0").weight.abs().max() > 0


def test_nothing_is_left_behind_when_a_network_fails(maps):
    def fails(x, w):
        raise KeyError("forward")

    with pytest.raises(KeyError):
        repad(nn.Sequential(Calls(fails, 1)), "circular")(maps)
    assert not torch.nn.modules.module._global_forward_hooks
    assert not torch.nn.modules.module._global_forward_pre_hooks
    plain = functional.conv2d(maps, torch.ones(1, 4, 3, 3), padding=1)
    assert plain[0, 0, 0, 0] == pytest.approx(maps[0, :, :2, :2].sum().item(), abs=1e-5)


@pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated")
def test_script_is_refused():
    scripted = torch.jit.script(nn.Conv2d(3, 4, 3, padding=1))
    with pytest.raises(ValueError) as raised:
        repad(nn.Sequential(scripted), "none")
    assert str(raised.value) == "padding 'none': layer '0' is TorchScript, not Python"


@pytest.mark.parametrize("kind", CHANGED)
def test_convolutions_that_pad_by_themselves_are_changed(kind, generator):
    """timm's Conv2dSame calls pad; the unpadded network follows shifts, the circular one rolls."""
    torch.manual_seed(0)
    network = create_model("tf_mobilenetv3_small_minimal_100", num_classes=0, global_pool="").eval()
    side = 640 if kind == "none" else 256
    images = torch.randn(1, 3, side, side, generator=generator)
    repadded = repad(network, kind)
    with torch.no_grad():
        outputs = repadded(images)
    assert {call.function for call in repadded.padded_calls} == {"conv2d", "pad"}
    if kind == "circular":
        with torch.no_grad():
            moved = repadded(images.roll((32, 64), (2, 3)))
        torch.testing.assert_close(moved, outputs.roll((1, 2), (2, 3)), rtol=1e-3, atol=1e-4)


def test_segmentation_network_commutes_with_circular_shifts(generator):
    torch.manual_seed(0)
    network = deeplabv3_mobilenet_v3_large(weights=None, weights_backbone=None).eval()
    images = torch.randn(1, 3, 512, 512, generator=generator)
    circular = repad(network.backbone, "circular")
    with torch.no_grad():
        still, moved = circular(images), circular(images.roll((32, 64), (2, 3)))
    torch.testing.assert_close(
        moved["out"], still["out"].roll((2, 4), (2, 3)), rtol=1e-3, atol=1e-4
    )
    with pytest.raises(MapTooSmallError) as raised:
        repad(network, "circular")(images[:, :, :65, :65])
    assert str(raised.value) == (
        "padding 'circular': maps of 5x5 px are too small for 12 px of padding in conv2d "
        "in layer 'classifier.0.convs.1.0'"
    )


def test_detection_network_is_repadded(generator):
    torch.manual_seed(0)
    network = fasterrcnn_mobilenet_v3_large_320_fpn(weights=None, weights_backbone=None).eval()
    repadded = repad(network, "replicate")
    with torch.no_grad():
        answers = repadded([torch.rand(3, 320, 320, generator=generator)])
    assert set(answers[0]) == {"boxes", "labels", "scores"}
    assert any(call.layer.startswith("backbone.fpn") for call in repadded.padded_calls)
