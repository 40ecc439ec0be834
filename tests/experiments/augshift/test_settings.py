import pytest
from pydantic import ValidationError

from posinfo.experiments import AUGSHIFT
from posinfo.experiments.augshift.settings import AugShiftSettings
from tests.experiments.conftest import base, changed, check, keys, planned

BASE = base("augshift")
DATASET, TRAINING = BASE["augshift"]["dataset"], BASE["augshift"]["training"]


def sections(**changes):
    return changed(BASE, **{f"augshift__{name}": value for name, value in changes.items()})


def settings(**changes):
    return AugShiftSettings.model_validate(sections(**changes))


def test_default_cells():
    cells = settings().cells
    assert list(cells) == [
        "baseline", "baseline-epochs10-batch64", "two_crops", "augshift", "blurpool", "fconv",
    ]  # fmt: skip
    assert cells["augshift"].seeds == tuple(range(10)) and cells["fconv"].seeds == (0,)
    training, control = (
        cells[name].training for name in ("two_crops", "baseline-epochs10-batch64")
    )
    assert (control.epochs, control.batch_size) == (2 * training.epochs, 2 * training.batch_size)
    assert cells["augshift"].latent_weight == BASE["augshift"]["latent_weight"]
    check(AUGSHIFT, BASE)


def test_cells_of_one_method_with_other_weights_and_images():
    methods = [
        {"method": "augshift"}, {"method": "augshift", "latent_weight": 0.5},
        {"method": "augshift", "dataset": "digits"}, {"method": "baseline"},
    ]  # fmt: skip
    resolved = settings(methods=methods, only=["augshift"])
    cells = resolved.cells
    assert list(cells) == ["augshift", "augshift-0.5", "augshift-digits"]
    assert [cell.latent_weight for cell in cells.values()] == [10, 0.5, 10]
    assert [cell.dataset for cell in cells.values()] == ["textures", "textures", "digits"]
    assert resolved.dataset_of(cells["augshift-digits"]).model_dump() == {
        name: value
        for name, value in (DATASET | {"name": "digits"}).items()
        if name not in ("folder", "download")
    }
    assert list(settings(methods=methods, only=["augshift-0.5"]).cells) == ["augshift-0.5"]


def test_a_row_may_change_single_fields_of_the_training():
    methods = [
        {"method": "baseline"}, {"method": "baseline", "training": {"epochs": 16}},
        {"method": "baseline", "training": {"batch_size": 128, "epochs": 16}},
        {"method": "baseline", "training": {"lr": 0.1}, "dataset": "digits"},
    ]  # fmt: skip
    changes = {"methods": methods, "seeds": [0], "training__epochs": 8, "training__batch_size": 64}
    trained = planned(AUGSHIFT, sections(**changes))["train"]
    fields = ("epochs", "batch_size", "lr", "momentum")
    found = {
        label: tuple(getattr(cell.cell.training, name) for name in fields)
        for label, cell in trained.items()
    }
    assert found == {
        "baseline-seed0": (8, 64, 0.05, 0.9),
        "baseline-epochs16-seed0": (16, 64, 0.05, 0.9),
        "baseline-batch128-epochs16-seed0": (16, 128, 0.05, 0.9),
        "baseline-lr-0.1-digits-seed0": (8, 64, 0.1, 0.9),
    }
    assert len({cell.key for cell in trained.values()}) == 4
    assert len(settings(methods=methods, only=["baseline"]).cells) == 4


def test_images_are_loaded_once_per_data_set():
    methods = [
        {"method": "augshift"},
        {"method": "baseline"},
        {"method": "fconv", "dataset": "digits"},
    ]
    cells = planned(AUGSHIFT, sections(methods=methods, seeds=[0]))
    assert list(cells["images"]) == ["textures", "digits"]
    trained = cells["train"]
    images = {label: cell.inputs["images"] for label, cell in trained.items()}
    assert images == {
        "augshift-seed0": cells["images"]["textures"].key,
        "baseline-seed0": cells["images"]["textures"].key,
        "fconv-digits-seed0": cells["images"]["digits"].key,
    }
    assert {cell.cell.classes for cell in trained.values()} == {10}


def test_a_setting_that_a_method_does_not_use_is_none_of_its_settings():
    first, second = settings().cells, settings(latent_weight=1, loss="sum").cells
    assert first["baseline"] == second["baseline"] and first["fconv"] == second["fconv"]
    assert first["two_crops"] != second["two_crops"] and first["augshift"] != second["augshift"]
    before, after = (
        keys(AUGSHIFT, sections(**changes), "train")
        for changes in ({}, {"latent_weight": 1, "loss": "sum"})
    )
    same = {label for label in before if before[label] == after[label]}
    assert same == {
        label for label in before if label.startswith(("baseline", "blurpool", "fconv"))
    }


@pytest.mark.parametrize(
    ("changes", "trained"),
    [
        ({"shifts": [{"max_shift": 6, "padding": "zero"}]}, True),
        ({"draws": 6}, True),
        ({"split": "validation"}, True),
        ({"dataset__name": "digits"}, False),
        ({"dataset__train_limit": 70}, False),
        ({"width": 3}, False),
        ({"training__lr": 0.1}, False),
        ({"augmentation__max_shift": 7}, False),
    ],
)
def test_results_know_what_they_depend_on(changes, trained):
    label = "augshift-seed0"
    for step, same in (("train", trained), ("evaluate", False)):
        before, after = (keys(AUGSHIFT, each, step)[label] for each in (BASE, sections(**changes)))
        assert (before == after) == same


def test_seeds_and_places_change_no_result():
    before = keys(AUGSHIFT, BASE, "evaluate")
    after = keys(
        AUGSHIFT, sections(seeds=[2, 13], dataset__folder="x", dataset__download=True), "evaluate"
    )
    assert after["augshift-seed2"] == before["augshift-seed2"]
    assert after["augshift-seed13"] not in before.values()
    assert len(set(before.values())) == len(before) == 5 * 10 + 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"latent_weight": -1}, "greater than or equal to 0"),
        (
            {"shifts": [{"max_shift": 32, "padding": "zero"}]},
            "less than the side of the images",
        ),
        ({"shifts": [{"max_shift": -1, "padding": "zero"}]}, "greater than or equal to 0"),
        ({"shifts": [{"max_shift": 4, "padding": "wrap"}]}, "shift padding must be one of zero"),
        ({"dataset__name": "texture"}, "did you mean 'textures"),
        ({"dataset__classes": 11}, "classes must be at most 10; got 11"),
        ({"training__batch_size": 1}, "greater than or equal to 2"),
        ({"shifts": []}, "at least 1 item"),
        ({"shifts": [{"max_shift": 4, "padding": "zero"}] * 2}, "each value may stand once"),
        ({"training__keep": "first"}, "training.keep must be one of best"),
        ({"split": "train"}, "Input should be 'test' or 'validation'"),
        ({"draws": 0}, "greater than or equal to 1"),
        ({"widht": 3}, "setting must be one of"),
    ],
)
def test_bad_values_are_refused_by_the_model(changes, message):
    with pytest.raises(ValidationError, match=message):
        settings(**changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"methods": [{"method": "augshif"}]}, "method must be one of baseline, two_crops"),
        (
            {"methods": [{"method": "baseline"}] * 2},
            "^augshift.methods: baseline stands there twice$",
        ),
        (
            {"methods": [{"method": "blurpool+fconv"}, {"method": "fconv+blurpool"}]},
            r"^augshift.methods: (\w+\+\w+) stands there twice$",
        ),
        ({"only": ["blur"]}, "^augshift.only must be one of"),
        ({"methods": [{"method": "baseline", "seeds": [1, 1]}]}, "may stand once; repeated: 1"),
        ({"methods": [{"method": "baseline", "seeds": []}]}, "at least 1 item"),
        (
            {"methods": [{"method": "baseline", "latent_weight": 3}]},
            "^augshift.methods: {'method': 'baseline', .*}: 'baseline' has no latent_weight$",
        ),
        (
            {"methods": [{"method": "baseline", "dataset": "cifar"}]},
            r"^augshift.methods: .*(.*\n)*.*dataset.name must be one of digits",
        ),
        (
            {"methods": [{"method": "augshift"}, {"method": "augshift", "latent_weight": 10}]},
            "^augshift.methods: augshift-10 is the same as augshift$",
        ),
        (
            {"methods": [{"method": "baseline", "dataset": "textures"}, {"method": "baseline"}]},
            "^augshift.methods: baseline is the same as baseline-textures$",
        ),
        (
            {"methods": [{"method": "baseline", "training": {"epoch": 3}}]},
            "^augshift.methods: {'method': 'baseline', 'training': {'epoch': 3}}: "
            "training: setting must be one of epochs",
        ),
        (
            {"methods": [{"method": "baseline", "training": 3}]},
            "^augshift.methods: .*: training must be a mapping of settings; got 3$",
        ),
        ({"loss": "median"}, "loss must be one of mean, sum"),
    ],
)
def test_bad_cells_are_refused_before_anything_is_computed(changes, message):
    with pytest.raises(ValueError, match=message):
        check(AUGSHIFT, sections(**changes))


def test_more_classes_than_a_data_set_has_are_refused():
    with pytest.raises(ValueError, match="dataset.classes must be at most 10; got 20"):
        check(
            AUGSHIFT,
            sections(
                dataset__name="cifar100",
                dataset__classes=20,
                methods=[{"method": "baseline", "dataset": "digits"}],
            ),
        )
