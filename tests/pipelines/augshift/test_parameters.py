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
    cells = parameters().cells()
    assert list(cells) == ["baseline", "two_crops", "augshift", "blurpool", "fconv"]
    assert cells["augshift"].seeds == (0, 1, 2) and cells["fconv"].seeds == (0,)
    assert cells["augshift"].config.latent_weight == BASE["latent_weight"]


def test_rows_of_one_method_with_other_weights_and_images():
    methods = [
        {"method": "augshift"}, {"method": "augshift", "latent_weight": 0.5},
        {"method": "augshift", "dataset": "digits"}, {"method": "baseline"},
    ]  # fmt: skip
    cells = parameters(methods=methods, only=["augshift"]).cells()
    assert list(cells) == ["augshift", "augshift-0.5", "augshift-digits"]
    assert [cell.config.latent_weight for cell in cells.values()] == [10, 0.5, 10]
    assert [cell.dataset.name for cell in cells.values()] == ["textures", "textures", "digits"]
    assert list(parameters(methods=methods, only=["augshift-0.5"]).cells()) == ["augshift-0.5"]


def test_a_setting_that_a_method_does_not_use_is_none_of_its_settings():
    first, second = parameters().cells(), parameters(latent_weight=1, loss="sum").cells()
    assert first["baseline"] == second["baseline"] and first["fconv"] == second["fconv"]
    assert first["two_crops"] != second["two_crops"] and first["augshift"] != second["augshift"]


def test_answers_know_what_they_depend_on():
    changes = [
        {}, {"shifts": [{"max_shift": 6, "padding": "zero"}]}, {"seeds": [0]},
        {"dataset": BASE["dataset"] | {"name": "digits"}}, {"width": 3},
        {"training": BASE["training"] | {"lr": 0.1}},
    ]  # fmt: skip
    settings = [
        str(changed.answers_settings(changed.cells()["augshift"]))
        for changed in (parameters(**change) for change in changes)
    ]
    assert len(set(settings)) == len(changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"methods": [{"method": "augshif"}]}, "method must be one of baseline, two_crops"),
        (
            {"methods": [{"method": "baseline"}] * 2},
            "may stand once; repeated: baseline",
        ),
        (
            {"methods": [{"method": "blurpool+fconv"}, {"method": "fconv+blurpool"}]},
            r"may stand once; repeated: fconv\+blurpool",
        ),
        ({"latent_weight": -1}, "greater than or equal to 0"),
        (
            {"shifts": [{"max_shift": 32, "padding": "zero"}]},
            "less than the side of the images",
        ),
        ({"shifts": [{"max_shift": -1, "padding": "zero"}]}, "greater than or equal to 0"),
        ({"shifts": [{"max_shift": 4, "padding": "wrap"}]}, "shift padding must be one of zero"),
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
            "augshift.methods: baseline-3: 'baseline' has no latent_weight",
        ),
        ({"shifts": []}, "at least 1 item"),
        ({"shifts": [{"max_shift": 4, "padding": "zero"}] * 2}, "each value may stand once"),
        (
            {"methods": [{"method": "baseline", "dataset": "cifar"}]},
            r"augshift.methods: baseline-cifar: (.*\n)*.*dataset.name must be one of digits",
        ),
        (
            {"methods": [{"method": "augshift"}, {"method": "augshift", "latent_weight": 10}]},
            "augshift.methods: augshift-10 is the same as augshift",
        ),
        (
            {"methods": [{"method": "baseline", "dataset": "textures"}, {"method": "baseline"}]},
            "baseline is the same as baseline-textures",
        ),
        ({"training": BASE["training"] | {"keep": "first"}}, "training.keep must be one of best"),
        ({"draws": 0}, "greater than or equal to 1"),
        ({"widht": 3}, "Extra inputs are not permitted"),
    ],
)
def test_bad_settings(changes, message):
    with pytest.raises(ValidationError, match=message):
        parameters(**changes)
