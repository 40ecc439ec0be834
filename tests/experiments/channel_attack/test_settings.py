import pytest
from pydantic import ValidationError

from posinfo.experiments import CHANNEL_ATTACK
from posinfo.experiments.channel_attack import train
from posinfo.experiments.channel_attack.settings import ChannelAttackSettings
from tests.experiments.conftest import base, changed, check, keys, planned

BASE = base("photos", "channel_attack")
PHOTOGRAPHS = {"dataset": "cityscapes", "folder": "x"}


def sections(**changes):
    return changed(BASE, **{f"channel_attack__{name}": value for name, value in changes.items()})


def settings(**changes):
    return ChannelAttackSettings.model_validate(sections(**changes))


def test_default_cells(monkeypatch):
    cells = settings().cells
    assert list(cells) == [
        "small_deeplab", "small_deeplab-circular-planted4", "small_deeplab-circular-shifted",
        "small_deeplab-circular", "small_deeplab-shifted", "small_deeplab-reflect",
        "small_deeplab-one_sided", "lite0_deeplab",
    ]  # fmt: skip
    assert cells["small_deeplab"].seeds == (0, 1, 2, 3, 4)
    assert cells["small_deeplab-circular-shifted"].seeds == (0, 1, 2)
    built, real = [], train.build_segmenter
    monkeypatch.setattr(train, "build_segmenter", lambda *a, **k: built.append(a) or real(*a, **k))
    train.logits_shape.cache_clear()
    check(CHANNEL_ATTACK, BASE)
    assert len(built) == 5  # each once: of those cells, three have the network of another one


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
    layouts = {"symmetric", "shifted", "one_sided"}
    assert set(plan["scenes"]) == {*layouts, *(f"{layout}-train" for layout in layouts)}
    assert plan["train"]["small_deeplab-reflect-seed1"].cell.inputs == {
        "scenes": "scenes/symmetric-train"
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
    names = ["symmetric", "symmetric-train", "symmetric-65x129", "symmetric-65x129-train"]
    assert list(plan["scenes"]) == names
    sizes = [
        cell.cell.scenes.model_dump(include={"height", "width"}) for cell in plan["scenes"].values()
    ]
    assert sizes == [{"height": 64, "width": 128}] * 2 + [{"height": 65, "width": 129}] * 2
    odd = plan["train"]["small_deeplab-65-129-seed0"].cell
    assert odd.inputs == {"scenes": "scenes/symmetric-65x129-train"} and odd.size == (65, 129)


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


@pytest.mark.parametrize(
    ("changes", "trains", "ranks"),
    [
        ({"images__test": 70}, True, False),  # with the scenes that attacks are measured on
        ({"images__train": 900}, False, False),
        ({"networks": [{"layer": "backbone.layer3"}]}, True, False),
        ({"training__lr": 0.1}, False, False),
        ({"attack__groups": 4}, True, True),
    ],
)
def test_networks_are_trained_again_for_nothing_but_what_training_depends_on(
    changes, trains, ranks
):
    small = sections(networks=[{}], seeds=[0])
    other = changed(small, **{f"channel_attack__{name}": v for name, v in changes.items()})
    for step, same in (("train", trains), ("channels", ranks)):
        first, second = (set(keys(CHANNEL_ATTACK, each, step).values()) for each in (small, other))
        assert (first == second) is same, step


def test_a_network_of_the_user_s_own_is_a_row():
    arch = "torchvision.models.segmentation:fcn_resnet50"
    rows = [
        {"arch": arch, "weights": "as-built", "layer": "backbone.layer4", "padding": "as_built"}
    ]
    plan = planned(CHANNEL_ATTACK, sections(networks=rows, seeds=[3]))
    (label,) = plan["train"]
    name = "torchvision.models.segmentation.fcn_resnet50"
    assert label == f"{name}-as_built-weights-as-built-backbone.layer4-seed3"
    cell = plan["train"][label].cell
    assert cell.seed == 3 and cell.training is None and not cell.inputs
    assert cell.modules[-1] == "torchvision.models.segmentation"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"images__test": 7}, r"protocols\.held_out: 7 images of test are fewer .*groups \(8\)"),
        ({"attack__rings": [32]}, r"rings at \[32\] px: one has no pixel"),
        ({"attack__regions": {"thin": [0, 0, 0.001, 1]}}, "region 'thin' has no pixel"),
        ({"layer": "backbone"}, r"layer 'backbone' must answer with maps .* got (dict|Ordered)"),
        ({"layer": "classifier.0.convs.4.0"}, "are its channels last, or is it pooled"),
    ],
)
def test_what_cannot_be_attacked_is_refused_before_any_training(changes, message):
    refused = sections(networks=[{}], seeds=[0], only=["small_deeplab"], **changes)
    with pytest.raises(ValueError, match=message):
        check(CHANNEL_ATTACK, refused)


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
        ({"networks": [{"width": None}]}, "arch 'small_deeplab' needs a width"),
        ({"networks": [{"layout": "left"}]}, "channel_attack.networks.*layout"),
        ({"networks": [{}, {"planted": 0}]}, "is the same as small_deeplab"),
        ({"weights": "a.pth"}, r"one network, whatever the seed; got seeds \[0, 1, 2, 3, 4\]"),
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
