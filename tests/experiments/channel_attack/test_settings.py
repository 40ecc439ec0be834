import pytest
from pydantic import ValidationError

from posinfo.experiments import CHANNEL_ATTACK
from posinfo.experiments.channel_attack.settings import ChannelAttackSettings
from tests.experiments.conftest import base, changed, check, keys, planned

BASE = base("photos", "channel_attack")
PHOTOGRAPHS = {"dataset": "cityscapes", "folder": "x"}


def sections(**changes):
    return changed(BASE, **{f"channel_attack__{name}": value for name, value in changes.items()})


def settings(**changes):
    return ChannelAttackSettings.model_validate(sections(**changes))


def test_default_cells():
    cells = settings().cells
    assert list(cells) == [
        "small_deeplab", "small_deeplab-planted4", "small_deeplab-circular-shifted",
        "small_deeplab-reflect", "small_deeplab-one_sided", "lite0_deeplab",
    ]  # fmt: skip
    assert cells["small_deeplab"].seeds == (0, 1, 2, 3, 4)
    assert cells["small_deeplab-circular-shifted"].seeds == (0, 1, 2)
    check(CHANNEL_ATTACK, BASE)


def test_a_row_changes_single_fields_of_the_attack():
    networks = [
        {},
        {"padding": "reflect", "attack": {"bands": 2, "protocols": {"unseen": {"draws": 0}}}},
    ]
    cells = settings(networks=networks).cells
    plain, changed_row = cells.values()
    assert plain.attack.bands == 4 and changed_row.attack.bands == 2
    assert changed_row.attack.fractions == plain.attack.fractions
    assert changed_row.attack.protocols["unseen"].split == "unseen"
    assert changed_row.attack.protocols["unseen"].draws == 0
    assert changed_row.attack.protocols["held_out"] == plain.attack.protocols["held_out"]


def test_networks_of_one_layout_share_their_scenes():
    plan = planned(CHANNEL_ATTACK, BASE)
    assert set(plan["scenes"]) == {"symmetric", "shifted", "one_sided"}
    assert plan["train"]["small_deeplab-reflect-seed1"].cell.inputs == {
        "scenes": "scenes/symmetric"
    }
    attacked = plan["attack"]["small_deeplab-one_sided-seed0"].cell
    assert attacked.inputs == {
        "scenes": "scenes/one_sided",
        "network": "train/small_deeplab-one_sided-seed0",
        "channels": "channels/small_deeplab-one_sided-seed0",
    }
    assert attacked.seed == 0


def test_a_row_may_have_images_of_another_size():
    other = sections(networks=[{}, {"size": [65, 129]}], seeds=[0])
    plan = planned(CHANNEL_ATTACK, other)
    assert set(plan["scenes"]) == {"symmetric", "symmetric-65x129"}
    sizes = [
        cell.cell.scenes.model_dump(include={"height", "width"}) for cell in plan["scenes"].values()
    ]
    assert sizes == [{"height": 64, "width": 128}, {"height": 65, "width": 129}]
    odd = plan["train"]["small_deeplab-65-129-seed0"].cell
    assert odd.inputs == {"scenes": "scenes/symmetric-65x129"} and odd.size == (65, 129)


def test_rows_and_classifiers_are_selected_by_their_labels():
    assert list(settings().classifiers) == ["lite0"]
    plain = settings(only=["small_deeplab"])
    assert list(plain.cells) == ["small_deeplab"] and not plain.classifiers
    both = planned(CHANNEL_ATTACK, sections(only=["lite0", "lite0_deeplab"]))
    assert list(both["classify"]) == list(both["rank"]) == ["lite0"]
    assert both["classify"]["lite0"].cell.inputs == {
        "images": "images/photographs", "channels": "rank/lite0",
    }  # fmt: skip
    without = planned(CHANNEL_ATTACK, sections(classifiers__networks__lite0=None))
    assert not without["images"] and not without["rank"] and not without["classify"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"layer": "bn3"}, "has no layer 'bn3'; near .*bn2"),
        ({"layer": "classifier"}, r"must answer with maps \(n, c, h, w\); got \(1, 1000\)"),
        ({"weights": "hed-bsds500", "arch": "vgg16"}, "come without those of the classifier"),
    ],
)
def test_classifiers_are_checked_before_anything_runs(changes, message):
    known = BASE["channel_attack"]["classifiers"]["networks"]["lite0"]
    networks = {"mine": {**known, **changes}}
    refused = sections(classifiers__networks=networks, only=["small_deeplab", "mine"], seeds=[0])
    with pytest.raises(ValueError, match=message):
        check(CHANNEL_ATTACK, refused)


def test_attacks_and_rankings_are_changed_without_another_training():
    other = sections(attack__fractions=[0.3])
    for step, same in (("train", True), ("channels", True), ("attack", False)):
        first, second = (keys(CHANNEL_ATTACK, each, step) for each in (BASE, other))
        assert (first == second) is same, step


def test_small_scenes_are_refused_before_any_training():
    small = sections(scenes__height=32, scenes__width=64, attack__rings=[], seeds=[0])
    with pytest.raises(ValueError, match=r"images of 32 x 64 px are too small: .*circular.*raise"):
        check(CHANNEL_ATTACK, small)
    only_zero = {**small, "channel_attack": {**small["channel_attack"], "only": ["small_deeplab"]}}
    check(CHANNEL_ATTACK, only_zero)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"images__train": 8}, r"images\.train \(8\) must be at least training\.batch_size \(16\)"),
        ({"images__layout_free": 6}, "multiple of 4"),
        ({"attack__rankings": ["overal"]}, "did you mean 'overall'"),
        ({"attack__fractions": [0]}, "greater than 0"),
        ({"attack__fractions": [1.2]}, "less than or equal to 1"),
        ({"attack__regions": {"full": [0, 0, 2, 1]}}, "in shares of width and height"),
        ({"attack__protocols": {"held_out": {"split": "tests", "draws": 1}}}, "mean 'test'"),
        ({"attack__protocols": {}}, "at least 1"),
        ({"photographs": {"dataset": "coco", "folder": "x"}}, "dataset must be one of cityscapes"),
        ({"classifiers__labelled": True}, "the embedded photographs have no labels"),
        ({"attack__rings": [8, 4]}, r"must ascend; got \[8, 4\]"),
        ({"attack__replacements": ["median"]}, "'zero' or 'mean'"),
    ],
)
def test_impossible_settings_are_refused(changes, message):
    with pytest.raises(ValidationError, match=message):
        settings(**changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"networks": [{"size": [16, 16]}], "seeds": [0]}, "size.*greater than or equal to 32"),
        (
            {"attack__rings": [32], "seeds": [0]},
            r"small_deeplab: attack.rings at \[32\] px: one has",
        ),
        ({"networks": [{"width": None}]}, "arch 'small_deeplab' needs a width"),
        ({"networks": [{"layout": "left"}]}, "channel_attack.networks.*layout"),
        ({"networks": [{}, {"planted": 0}]}, "is the same as small_deeplab"),
        ({"weights": "a.pth"}, r"one network, whatever the seed; got seeds \[0, 1, 2, 3, 4\]"),
        ({"images__test": 7}, r"images\.test \(7\) must be at least attack\.groups \(8\)"),
        ({"only": ["small"]}, "channel_attack.only must be one of"),
        ({"only": ["lite0"]}, "channel_attack.only must name one of small_deeplab, "),
        ({"photographs": PHOTOGRAPHS}, "small_deeplab needs weights: nothing is trained"),
        (
            {"photographs": PHOTOGRAPHS, "weights": "a.pth", "networks": [{}], "seeds": [0]},
            r"protocols\.unseen\.split must be one of ranking, test; got 'unseen'",
        ),
    ],
)
def test_impossible_rows_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        _ = settings(**changes).cells


def test_a_protocol_can_be_dropped():
    changes = {"attack__protocols__unseen": None, "photographs": PHOTOGRAPHS, "weights": "a.pth"}
    resolved = settings(**changes, networks=[{}], seeds=[0])
    assert set(resolved.cells["small_deeplab"].attack.protocols) == {"held_out", "released"}


def test_weights_that_are_not_there_are_named_with_their_setting():
    with pytest.raises(FileNotFoundError, match=r"channel_attack.networks: small_deeplab: weights"):
        planned(CHANNEL_ATTACK, sections(weights="nowhere.pth", networks=[{}], seeds=[0]))
