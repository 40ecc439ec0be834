import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from posinfo.experiment import Result
from posinfo.experiments.channel_attack.classifier_report import attacks_of
from posinfo.experiments.channel_attack.classifiers import (
    AttackedClassifier,
    ClassifierAttackCell,
    attack,
    rank,
    ranks,
)
from posinfo.networks.models.normalisation import normalise
from posinfo.networks.surgery.ablation import ablated
from posinfo.work import Work
from tests.experiments.channel_attack.test_planned_attacks import config

SIZE, CLASSES, PHOTOGRAPHS, CROPS = 32, 3, 6, 2
BANDS = "0-10", "0-20"  # the largest top, and the only band


def small():
    """A classifier of the user's own."""
    torch.manual_seed(0)
    stem = nn.Sequential(nn.Conv2d(3, 20, 3, padding=1), nn.ReLU())
    return nn.Sequential(stem, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(20, CLASSES))


def cell(**changes):
    classifier = AttackedClassifier(
        arch=f"{__name__}:small", weights="as-built", padding="as_built", layer="0"
    )
    protocols = {
        "held_out": {"split": "test", "draws": 3},
        "released": {"split": "ranking", "draws": 1},
        "unseen": {"split": "unseen", "draws": 1},
    }
    usual = {
        "classifier": classifier, "weights": "", "image_size": SIZE, "layout_free": 4,
        "attack": config(protocols=protocols, groups=2), "labelled": True,
    }  # fmt: skip
    return ClassifierAttackCell(**{**usual, **changes})


@pytest.fixture(scope="module")
def photographs():
    """Six photographs of two crops each, in folders of three classes."""
    random = np.random.default_rng(0)
    names = [f"{'cab'[n % CLASSES]}/{n}.png" for n in range(PHOTOGRAPHS) for _ in range(CROPS)]
    colours = random.integers(256, size=(len(names), 3, 1, 1))
    noise = random.integers(-20, 20, size=(len(names), 3, SIZE, SIZE))
    pixels = (colours + noise).clip(0, 255).astype(np.uint8)
    return Result(arrays={"pixels": pixels}, rows=pd.DataFrame({"photograph": names}))


@pytest.fixture(scope="module")
def attacked(photographs):
    channels = rank(cell(), {"images": photographs}, Work())
    return attack(cell(), {"images": photographs, "channels": channels}, Work())


def test_channels_are_ranked_by_every_other_photograph(photographs):
    assert ranks(photographs).tolist() == [True, True, False, False] * 3
    first = rank(cell(), {"images": photographs}, Work())
    pixels = np.array(photographs.arrays["pixels"])
    pixels[~ranks(photographs).numpy()] = 0  # what is not ranked by does not matter
    others = Result(arrays={"pixels": pixels}, rows=photographs.rows)
    second = rank(cell(), {"images": others}, Work())
    assert len(first.table) == 20 and first.table.equals(second.table)


def test_each_protocol_has_photographs_of_its_own(attacked):
    table = attacks_of(attacked)
    assert table.groupby("protocol").n.first().to_dict() == {"held_out": 6, "released": 6}
    images = attacked.tensors["counts"].sum((2, 3))
    # three photographs in two groups
    assert set(map(tuple, images.tolist())) == {(4, 2)}


def test_top1_and_agreement_are_those_of_the_silenced_network(photographs, attacked):
    network, held_out = small().eval(), ~ranks(photographs)
    pixels = torch.from_numpy(photographs.arrays["pixels"])[held_out]
    images = normalise(pixels, "imagenet", None)
    folders = photographs.table.photograph[held_out.numpy()].str[0]
    labels = torch.tensor(["abc".index(folder) for folder in folders])
    with torch.no_grad():
        intact = network(images).argmax(1)
        with ablated(network, "0", range(20)):
            blind = network(images).argmax(1)
    table = attacks_of(attacked)
    assert table.top1[0] == pytest.approx((intact == labels).double().mean().item())
    assert attacked.table.top1_held_out[0] == table.top1[0]
    assert len(intact.unique()) > 1 and len(blind.unique()) == 1
    agreeing = attacked.tensors["counts"][0].sum(0)[0]
    assert agreeing.tolist() == [0, 6], "nothing is silenced at first"


def checked(names, **changes):
    return cell(photographs=tuple(names), **changes).check()


def test_folders_must_be_the_classes(photographs):
    names = photographs.table.photograph
    checked(names)
    with pytest.raises(ValueError, match=r"has 2 folders .*, and arch .* has 3 classes"):
        checked(names.str.replace("c/", "b/"))
    with pytest.raises(ValueError, match="has 0 folders of photographs"):
        checked(names.str[2:])
    checked(names.str[2:], labelled=False)


def test_without_labels_there_is_no_accuracy(photographs):
    channels = rank(cell(), {"images": photographs}, Work())
    unlabelled = attack(cell(labelled=False), {"images": photographs, "channels": channels}, Work())
    assert attacks_of(unlabelled).top1.isna().all()
    assert set(unlabelled.table) == {"agreement_held_out", "agreement_released"}


def test_photographs_and_protocols_must_be_enough(photographs):
    names = list(photographs.table.photograph)
    with pytest.raises(ValueError, match="3 photographs; 4 are needed"):
        checked(names[: 3 * CROPS])
    unseen = config(protocols={"unseen": {"split": "unseen", "draws": 1}})
    with pytest.raises(ValueError, match="none has a split of ranking, test"):
        checked(names, attack=unseen)


def test_an_agreement_is_that_of_the_largest_top_and_of_no_band(photographs):
    """Half of the channels are silenced; the band is all of them."""
    first = {"rankings": ["overall"], "fractions": [0.1, 0.5], "bands": 1}  # bands are of `overall`
    wide = config(**first, protocols=cell().attack.protocols)
    channels = rank(cell(), {"images": photographs}, Work())
    found = attack(cell(attack=wide), {"images": photographs, "channels": channels}, Work())
    table = attacks_of(found)
    same = pd.Series(found.tensors["counts"].sum(1)[:, 0, 1].numpy() / 6)
    top, band = (same[(table.ranking == "overall") & (table.band == b)].iloc[0] for b in BANDS)
    assert found.table.agreement_held_out[0] == pytest.approx(top) != pytest.approx(band)
