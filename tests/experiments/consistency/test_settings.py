import pytest

from posinfo.experiments import CONSISTENCY
from posinfo.experiments.consistency.settings import ConsistencySettings
from tests.experiments.conftest import base, changed, check, keys, planned

BASE = base("photos", "consistency")


def sections(**changes):
    return changed(BASE, **changes)


def test_default_plan():
    plan = planned(CONSISTENCY, BASE)
    assert list(plan["images"]) == ["photos"]
    labels = ["as_built", "reflect", "replicate", "circular", "partial"]
    assert list(plan["classify"]) == labels
    cell = plan["classify"]["reflect"].cell
    assert cell.classifier.padding == "reflect" and cell.offsets == (0, 5, 10, 15, 20, 25, 30)
    assert plan["images"]["photos"].cell.image_size == 224 + 30
    check(CONSISTENCY, BASE)


def test_every_embedded_photograph_is_shown_upright():
    manifest = ConsistencySettings.model_validate(BASE).manifest
    assert manifest.groupby("photograph").size().to_dict() == dict.fromkeys(
        (
            "astronaut", "brick", "chelsea", "china", "coffee", "flower", "grace_hopper", "grass",
            "gravel", "motorcycle", "rocket",
        ),
        3,
    )  # fmt: skip
    assert set(manifest.symmetry) == {0}


def test_a_folder_is_shown_whole(save_photo):
    folder = save_photo("mine.png").parent
    manifest = ConsistencySettings.model_validate(sections(photos__test_dir=folder)).manifest
    assert manifest.photograph.tolist() == ["mine.png"]


def test_only():
    selected = sections(consistency__only=["circular", "as_built"])
    assert list(ConsistencySettings.model_validate(selected).cells) == [
        "as_built",
        "circular",
    ]
    with pytest.raises(ValueError) as raised:
        planned(CONSISTENCY, sections(consistency__only=["circle"]))
    assert str(raised.value) == (
        "consistency.only must be one of as_built, reflect, replicate, circular, partial; "
        "got 'circle' (did you mean 'circular'?)"
    )


@pytest.mark.parametrize(
    "change",
    [
        {"consistency__image_size": 200}, {"consistency__step": 10},
        {"consistency__classifiers__reflect__padding": "zero"},
        {"consistency__classifiers__reflect__padding_layers": ["blocks"]},
    ],
)  # fmt: skip
def test_keys_follow_what_is_computed(change):
    before = keys(CONSISTENCY, BASE, "classify")["reflect"]
    assert keys(CONSISTENCY, sections(**change), "classify")["reflect"] != before


def test_answers_depend_on_the_code_of_ones_own_classifier():
    own = {"arch": "tests.networks.models.test_whole_network:Looks", "weights": "as-built"}
    before = BASE["consistency"]["classifiers"]["reflect"]
    plan = planned(CONSISTENCY, sections(consistency__classifiers__reflect=before | own))
    packages = ("tests", "tests.networks", "tests.networks.models")
    modules = (*packages, "tests.networks.models.test_whole_network")
    assert plan["classify"]["reflect"].cell.modules == modules
    assert plan["classify"]["circular"].cell.modules == ()


def test_unpadded_network_of_small_images_is_refused():
    with pytest.raises(ValueError) as raised:
        check(CONSISTENCY, sections(consistency__classifiers__reflect__padding="none"))
    assert str(raised.value) == (
        "images of 224 px are too small for arch 'timm/tf_efficientnet_lite0' with padding 'none': "
        "the smallest image_size is 851 px"
    )
