import copy

import pytest
import yaml
from pydantic import ValidationError

from posinfo.pipelines.augshift.parameters import AugShiftParameters
from tests.conftest import PROJECT

BASE = yaml.safe_load((PROJECT / "conf/base/parameters_augshift.yml").read_text())["augshift"]


def parameters(**changes):
    return AugShiftParameters.model_validate(copy.deepcopy(BASE) | changes)


def test_default_rows():
    rows = parameters().rows()
    assert list(rows) == ["baseline", "two_crops", "augshift", "blurpool", "fconv"]
    assert rows["augshift"][1] == (0, 1, 2) and rows["fconv"][1] == (0,)
    assert rows["augshift"][0].latent_weight == BASE["latent_weight"]


def test_rows_of_one_method_with_other_weights():
    methods = [{"method": "augshift"}, {"method": "augshift", "latent_weight": 0.5}]
    rows = parameters(methods=methods, only=["augshift-0.5"]).rows()
    assert [config.latent_weight for config, _ in rows.values()] == [0.5]


def test_a_setting_that_a_method_does_not_use_is_none_of_its_settings():
    first, second = parameters().rows(), parameters(latent_weight=1, loss="sum").rows()
    assert first["baseline"] == second["baseline"] and first["fconv"] == second["fconv"]
    assert first["two_crops"] != second["two_crops"] and first["augshift"] != second["augshift"]


def test_answers_know_what_they_depend_on():
    base = parameters()
    config, _ = base.rows()["augshift"]
    keys = {
        base.answers_key(config, 0), base.answers_key(config, 1),
        parameters(shift={"max_shift": 6, "padding": "zero"}).answers_key(config, 0),
        parameters(dataset=BASE["dataset"] | {"name": "digits"}).answers_key(config, 0),
        parameters(training=BASE["training"] | {"lr": 0.1}).answers_key(config, 0),
    }  # fmt: skip
    assert len(keys) == 5


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"methods": [{"method": "augshif"}]}, "method must be one of baseline, two_crops"),
        (
            {"methods": [{"method": "baseline"}] * 2},
            "may stand once; repeated: baseline",
        ),
        ({"latent_weight": -1}, "greater than or equal to 0"),
        (
            {"shift": {"max_shift": 32, "padding": "zero"}},
            "less than the side of the images",
        ),
        ({"shift": {"max_shift": -1, "padding": "zero"}}, "greater than or equal to 0"),
        ({"shift": {"max_shift": 4, "padding": "wrap"}}, "shift padding must be one of zero"),
        (
            {"dataset": BASE["dataset"] | {"name": "texture"}},
            "did you mean 'textures",
        ),
        (
            {"dataset": BASE["dataset"] | {"classes": 11}},
            "classes must be at most 10; got 11",
        ),
        ({"training": BASE["training"] | {"batch_size": 1}}, "greater than or equal to 2"),
        ({"only": ["blur"]}, "augshift.only must be one of"),
        ({"methods": [{"method": "baseline", "seeds": [1, 1]}]}, "may stand once; repeated: 1"),
        ({"methods": [{"method": "baseline", "seeds": []}]}, "at least 1 item"),
        (
            {"methods": [{"method": "baseline", "latent_weight": 3}]},
            "has no latent_weight",
        ),
        ({"draws": 0}, "greater than or equal to 1"),
        ({"widht": 3}, "Extra inputs are not permitted"),
    ],
)
def test_bad_settings(changes, message):
    with pytest.raises(ValidationError, match=message):
        parameters(**changes)
