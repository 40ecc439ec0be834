"""The environments of conf/ are merged as Kedro merges them, and their values make sense."""

import pytest
from kedro.config import OmegaConfigLoader
from posinfo.pipelines.augshift.parameters import AugShiftParameters
from posinfo.pipelines.permutenet.parameters import PermutenetParameters
from posinfo.pipelines.posenet.parameters import PosenetParameters

from posinfo.pipelines import permutenet, posenet_ablations
from tests.conftest import PROJECT


@pytest.fixture
def parameters():
    def load(environment):
        loader = OmegaConfigLoader(
            str(PROJECT / "conf"),
            base_env="base",
            default_run_env=environment,
            merge_strategy={"parameters": "soft"},
        )
        return loader["parameters"]

    return load


def test_paper_is_the_papers_setting(parameters, monkeypatch):
    asked = []
    monkeypatch.setattr(
        "posinfo.networks.backbones.check_source",
        lambda arch, weights, *_: asked.append((arch, weights)),
    )
    loaded = parameters("paper")
    posenet_ablations.check_parameters(loaded)
    posenet = PosenetParameters.model_validate(loaded["posenet"])
    assert (posenet.readout.epochs, posenet.readout.steps) == (15, None)
    assert (posenet.readout.batch_size, posenet.readout.hidden_width) == (32, "same")
    assert {("vgg16", "imagenet"), ("resnet152", "imagenet")} <= set(asked)
    assert ("vgg16", "hed-bsds500") not in asked
    assert loaded["photos"]["train_dir"].endswith("DUTS-TR-Image")


def test_paper_is_the_released_setting_of_permutenet(parameters):
    loaded = parameters("paper")
    permutenet.check_parameters(loaded)
    settings = PermutenetParameters.model_validate(loaded["permutenet"])
    assert (settings.dataset.name, settings.dataset.download) == ("cifar10", True)
    assert settings.seeds == (0, 1, 2)
    cells = settings.resolve()
    assert {cell.grid for cell in cells.values()} == {3, 5, 7}
    assert {cell.permutation for cell in cells.values()} == {
        "none",
        "fixed",
        "per_batch",
        "per_sample",
    }
    cell = cells["permutenet-per_batch-image-7x7"]
    assert (cell.arch, cell.width, cell.padding, cell.canvas) == (
        "canvas_resnet18",
        64,
        "zero",
        "released",
    )
    training = cell.training
    assert (training.epochs, training.lr, training.betas) == (20, 1e-3, (0.5, 0.999))
    assert (training.batch_size, training.mirrored, training.schedule) == (48, True, "constant")


def test_test_is_valid(parameters):
    loaded = parameters("test")
    posenet_ablations.check_parameters(loaded)
    permutenet.check_parameters(loaded)


def test_paper_is_the_recipe_of_augshift_on_both_data_sets(parameters):
    settings = AugShiftParameters.model_validate(parameters("paper")["augshift"])
    training = settings.training
    assert (training.epochs, training.batch_size, training.lr, training.momentum) == (
        200,
        128,
        0.1,
        0.9,
    )
    assert (training.weight_decay, training.schedule, training.keep) == (5e-4, "cosine", "last")
    assert settings.augmentation.name == "zero-8" and settings.seeds == (0, 1, 2)
    assert [shift.name for shift in settings.shifts] == ["zero-8", "reflect-8", "crop-3"]
    cells = settings.cells()
    methods = {
        name: {cell.config.method for cell in cells.values() if cell.dataset.name == name}
        for name in ("cifar10", "cifar100")
    }
    assert methods["cifar10"] == methods["cifar100"] and len(cells) == 16
    assert cells["augshift"].config.latent_weight == 1 and cells["augshift"].config.width == 64
    assert cells["augshift-cifar100"].dataset.class_count == 100


def test_trained_reads_every_network_of_the_default_run(parameters):
    loaded = parameters("trained")
    augshift = AugShiftParameters.model_validate(loaded["augshift"])
    networks = {
        f"data/06_models/augshift/networks/{label}-seed{seed}.safetensors"
        for label, cell in augshift.cells().items()
        for seed in cell.seeds
    }
    rows = [loaded["posenet"]["backbones"][label] for label in loaded["posenet"]["only"]]
    assert {row["weights"] for row in rows} == networks | {"untrained"}
    width = f"(width={augshift.width})"
    assert all(row["arch"].endswith(width) for row in rows)
