"""The audit from Python, of networks whose answers are known."""

import json

import pytest
import torch
import yaml
from torch import nn

from posinfo.audit import DEFAULTS, audit, compare
from posinfo.networks.surgery.padding import repad
from tests.conftest import PROJECT

TINY = {
    "image_size": 32, "picture_size": 96, "max_shift": 4, "step": 2, "margins": [0, 16],
    "batch_padding": 8, "paddings": ["reflect"],
    "position": {
        "patterns": ["horizontal", "control_6"], "train_crops": 14, "test_crops": 4,
        "feature_size": 8,
        "ridge": {"penalties": [1.0], "held_out": 0.2, "positions": 64, "memory_gib": 1.0},
    },
}  # fmt: skip


def found(network, **settings):
    return audit(network.eval(), **{**TINY, **settings})


def chain(*layers):
    torch.manual_seed(0)
    return nn.Sequential(*layers)


def pooled(*layers):
    return chain(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 10))


def test_bounded_network_needs_the_margin_of_its_field_and_no_more():
    depth = 4
    layers = [nn.Conv2d(3 if n == 0 else 8, 8, 3, padding=1) for n in range(depth)]
    numbers = found(chain(*layers), tolerance=1e-5, margins=[0, 2, 4, 8]).record["numbers"]
    assert numbers["receptive_field"]["value"] == 1 + 2 * depth
    assert numbers["reach"]["value"] == numbers["margin"]["value"] == depth
    assert numbers["context_reach"]["value"] == depth
    assert numbers["tile_error.8"]["value"] < 1e-6  # the same sums in another order
    assert numbers["tile_error.2"]["value"] > 0
    assert numbers["repadding.reflect"]["low"] > 0


def test_network_of_single_pixels_knows_nothing_of_position_and_needs_no_margin(monkeypatch):
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    network = chain(nn.Conv2d(3, 8, 1), nn.ReLU(), nn.Conv2d(8, 8, 1), nn.ReLU())
    allowed = []
    network.register_forward_pre_hook(lambda *_: allowed.append(torch.backends.cudnn.allow_tf32))
    made = found(network, paddings=[])
    assert not allowed[-1]
    numbers = made.record["numbers"]
    for name in ("reach", "margin", "context_error", "shift_error", "batch_padding"):
        assert numbers[name]["value"] == 0, name
    assert numbers["border_channels"]["value"] == 0
    # what a readout finds of position is no more than of the control
    read = numbers["position.horizontal.3"]
    assert abs(read["value"]) < 0.35
    assert "No convolution or pooling pads." in made.html


def test_circular_network_is_consistent_under_turned_shifts_alone():
    circular = repad(pooled(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU()), "circular")
    numbers = found(circular, paddings=["zero"]).record["numbers"]
    assert numbers["consistency.circular"]["value"] == 1
    assert numbers["wobble.circular"]["value"] < 1e-5
    assert numbers["wobble"]["value"] > 1e-4


def test_normalisation_is_told_from_padding():
    network = chain(nn.Conv2d(3, 8, 3, padding=1), nn.InstanceNorm2d(8), nn.Conv2d(8, 4, 3))
    made = found(network, paddings=[], tolerance=1e-4)
    numbers = made.record["numbers"]
    assert numbers["reach"]["value"] is None  # infinite, which JSON has not
    assert numbers["tile_error.16"]["value"] > 1e-3
    assert numbers["tile_error_same_statistics.16"]["value"] < 1e-5
    texts = " ".join(each["text"] for each in made.record["verdict"])
    assert "Not padding but averages over the image are the reason" in texts
    assert "(InstanceNorm2d) on everything depends on the whole image" in texts


def test_uneven_padding_is_named_with_the_size_that_mends_it():
    made = found(chain(nn.Conv2d(3, 8, 3, 2, padding=1), nn.ReLU()), paddings=[])
    (first, *_) = made.record["verdict"]
    assert first["text"] == (
        "At 32 px 1 of 1 padded calls use it unevenly: 0 reads 1 px at the left and 0 px at the "
        "right. Use 33 px."
    )
    even = found(chain(nn.Conv2d(3, 8, 3, 2, padding=1), nn.ReLU()), paddings=[], image_size=33)
    assert even.record["numbers"]["uneven_layers"]["value"] == 0


def test_gates_files_and_photographs_of_ones_own(tmp_path, save_photo):
    for name in ("a.png", "b.png", "c.png"):
        folder = save_photo(name, (120, 100)).parent
    network = pooled(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU())
    before = {name: each.clone() for name, each in network.state_dict().items()}
    made = found(network, images=folder, fail_if=["uneven_layers>0", "padded_layers>=1"])
    assert not made.passed
    assert made.record["failures"] == ["padded_layers >= 1: it is 1"]
    assert made.record["numbers"]["consistency"]["n"] == 3
    assert all(before[name].equal(each) for name, each in network.state_dict().items())
    made.save(tmp_path / "page")
    record = json.loads((tmp_path / "page/audit.json").read_text())
    assert record == json.loads(json.dumps(made.record))
    html = (tmp_path / "page/report.html").read_text()
    assert "Failed" in html and "http" not in html.replace("http-equiv", "")
    assert (tmp_path / "page/scores.csv").is_file()


def test_two_audits_side_by_side():
    plain = pooled(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU())
    first = found(repad(plain, "circular"), paddings=[])
    same, other = (found(repad(plain, kind), paddings=[]) for kind in ("circular", "zero"))
    assert (compare(first, same).difference == 0).all()
    compared = compare(first, other).set_index("measure")
    assert compared.loc["wobble.circular"].difference > 0
    assert set(compared.n_photographs) <= {4, 11}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"step": 8}, "step 8 must be at most max_shift 4"),
        ({"fail_if": ["repadding.refelct>0"]}, "got 'refelct' (did you mean 'reflect'?)"),
        ({"picture_size": 33}, "picture_size must be at least image_size + max_shift, 36 px"),
        ({"margins": [4, 2]}, "margins must ascend"),
    ],
)
def test_settings_that_measure_nothing_are_refused(settings, message):
    with pytest.raises(ValueError) as refusal:
        found(nn.Sequential(nn.Conv2d(3, 3, 1)), **settings)
    assert message in str(refusal.value)


def test_tiles_that_a_network_refuses_or_that_never_close_are_named():
    class Even(nn.Conv2d):
        def forward(self, images):
            assert images.shape[3] % 64 != 56, "widths of this kind are not taken"
            return super().forward(images)

    made = found(nn.Sequential(Even(3, 8, 3, padding=1)), paddings=[], margins=[0, 8])
    assert "images of 96x56 px: widths of this kind are not taken" in made.html
    deep = nn.Sequential(nn.Conv2d(3, 8, 41), nn.Conv2d(8, 8, 3))
    gaping = found(deep, paddings=[], image_size=48, picture_size=128)
    assert "tiles leave a gap at each of audit.margins" in gaping.html


def test_output_among_several_is_named():
    class Dictionary(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = nn.Conv2d(3, 8, 3, padding=1)

        def forward(self, images):
            maps = self.body(images)
            return {"out": maps, "aux": maps * 2}

    with pytest.raises(ValueError, match="name one of its tensors: out, aux"):
        found(Dictionary())
    assert "margin" in found(Dictionary(), output="out").record["numbers"]


def test_training_mode_unknown_settings_and_bad_gates_are_refused_at_once():
    with pytest.raises(ValueError, match="training mode"):
        audit(nn.Conv2d(3, 3, 1))
    with pytest.raises(ValueError, match="got 'margin' .did you mean 'margins'"):
        found(nn.Conv2d(3, 3, 1), margin=3)
    with pytest.raises(ValueError, match="fail_if must be one of"):
        found(nn.Conv2d(3, 3, 1), fail_if=["speed<1"])


def test_network_that_gives_no_number():
    class Dividing(nn.Conv2d):
        def forward(self, images):
            return super().forward(images) / 0

    with pytest.raises((ValueError, OverflowError), match="no number|not a number"):
        found(chain(Dividing(3, 8, 3, padding=1)))


def test_defaults_are_those_of_the_pipeline():
    text = (PROJECT / "conf/base/parameters_audit.yml").read_text()
    section = yaml.safe_load(text)["audit"]
    del section["networks"]
    assert section == DEFAULTS
