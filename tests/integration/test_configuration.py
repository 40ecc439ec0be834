"""The environments of conf/ are merged as Kedro merges them, and their values make sense."""

import pytest
import torch

from posinfo.experiments import (
    AUDIT,
    AUGSHIFT,
    BOUNDARY,
    CHANNEL_ATTACK,
    CONSISTENCY,
    EXPERIMENTS,
    PERMUTENET,
    POSENET,
    POSENET_ABLATIONS,
)
from posinfo.experiments.audit.settings import structure_cells
from posinfo.experiments.boundary.cells import canvas_train_cells, shift_train_cells
from posinfo.experiments.consistency.settings import classify_cells
from posinfo.experiments.permutenet.settings import train_cells
from posinfo.experiments.posenet.settings import features_cells
from posinfo.plan import plan
from tests.integration.conftest import merged

ENVIRONMENTS = [
    *((experiment, name) for experiment in EXPERIMENTS for name in ("base", "test", "paper")),
    ("posenet", "trained"),
    ("posenet", "segmenters"),
    ("channel_attack", "voc"),
]


def settings(experiment, environment):
    parameters = merged(environment)
    sections = {name: parameters[name] for name in experiment.settings.model_fields}
    return experiment.settings.model_validate(sections)


@pytest.fixture
def no_network_and_no_file(monkeypatch):
    """Fails where weights are read or fetched, or a network is built."""
    for name in (
        "torch.load",
        "torch.hub.load_state_dict_from_url",
        "torchvision.models._api.load_state_dict_from_url",
        "posinfo.networks.models.state_file.load_file",
        "posinfo.networks.models.weights.check_source",
        "posinfo.networks.models.weights.read_embedded",
        "posinfo.networks.models.architectures.get_model",
        "posinfo.networks.models.downloaded_weights.get_model",
        "timm.create_model",
        "posinfo.networks.surgery.dry_run.sketch_network",
        "posinfo.networks.models.whole_network.sketch_network",
        "posinfo.networks.models.architectures.canvas_resnet18",
        "posinfo.networks.models.architectures.cifar_resnet18",
    ):
        monkeypatch.setattr(name, lambda *_, name=name, **__: pytest.fail(f"{name} was called"))
    monkeypatch.setattr(
        "torch.nn.Module.__init__", lambda *_, **__: pytest.fail("a network was built")
    )


@pytest.mark.parametrize(("experiment", "environment"), ENVIRONMENTS)
def test_validation_reads_no_weights_and_builds_no_network(
    experiment, environment, no_network_and_no_file
):
    assert settings(EXPERIMENTS[experiment], environment).cells


@pytest.mark.parametrize("experiment", EXPERIMENTS.values(), ids=lambda experiment: experiment.name)
def test_keys_of_networks_need_none(experiment, no_network_and_no_file):
    resolved = settings(experiment, "paper")
    if experiment in (POSENET, POSENET_ABLATIONS):  # its photographs are on no machine of ours
        assert features_cells(resolved)
    elif experiment is CHANNEL_ATTACK:  # neither are those of Cityscapes
        assert resolved.cells
    elif experiment is CONSISTENCY:  # of the same photographs
        assert classify_cells(resolved)
    elif experiment is BOUNDARY:  # of the same photographs
        assert shift_train_cells(resolved) and canvas_train_cells(resolved)
    elif experiment is AUDIT:
        assert structure_cells(resolved)
    else:
        steps = plan(experiment, resolved, torch.device("cpu"), torch.float32)
        assert steps[experiment.steps[-1].name]


def test_paper_is_the_papers_setting():
    loaded = merged("paper")
    readout = settings(POSENET, "paper").posenet.readout
    assert (readout.epochs, readout.steps) == (15, None)
    assert (readout.batch_size, readout.hidden_width) == (32, "same")
    backbones = {
        (cell.backbone.arch, cell.backbone.weights)
        for experiment in (POSENET, POSENET_ABLATIONS)
        for cell in features_cells(settings(experiment, "paper")).values()
    }
    assert {("vgg16", "imagenet"), ("resnet152", "imagenet")} <= backbones
    assert ("vgg16", "hed-bsds500") not in backbones
    assert loaded["photos"]["train_dir"].endswith("DUTS-TR-Image")
    assert all(
        cell.readout.head == "ridge" or cell.seeds == (0, 1, 2)
        for cell in settings(POSENET_ABLATIONS, "paper").cells.values()
    )


def test_borders_of_the_paper_reach_512_px_in_every_row():
    """A row's own borders in conf/base would stay where conf/paper names none."""
    distance = settings(BOUNDARY, "paper").boundary.distance
    rows = distance.networks.values()
    widest = {(row.borders or distance.borders)[-1] for row in rows if row is not None}
    assert widest == {512}


def test_paper_is_the_released_setting_of_permutenet():
    resolved = settings(PERMUTENET, "paper")
    section, cells = resolved.permutenet, resolved.cells
    assert (section.dataset.name, section.dataset.download) == ("cifar10", True)
    assert section.seeds == (0, 1, 2)
    assert {cell.grid for cell in cells.values()} == {3, 5, 7}
    permutations = {cell.permutation for cell in cells.values()}
    assert permutations == {"none", "fixed", "per_batch", "per_sample"}
    cell = cells["permutenet-per_batch-image-7x7"]
    assert (cell.arch, cell.width, cell.padding, cell.canvas) == (
        "canvas_resnet18", 64, "zero", "released",
    )  # fmt: skip
    training = cell.training
    assert (training.epochs, training.lr, training.betas) == (20, 1e-3, (0.5, 0.999))
    assert (training.batch_size, training.mirrored, training.schedule) == (48, True, "constant")
    networks = train_cells(resolved).values()
    for network in {(each.classifier, each.canvas): each for each in networks}.values():
        network.check()


def test_paper_is_the_recipe_of_augshift_on_both_data_sets():
    resolved = settings(AUGSHIFT, "paper")
    section, training = resolved.augshift, resolved.augshift.training
    assert (training.epochs, training.batch_size, training.lr, training.momentum) == (
        200, 128, 0.1, 0.9,
    )  # fmt: skip
    assert (training.weight_decay, training.schedule, training.keep) == (5e-4, "cosine", "last")
    assert section.augmentation.name == "zero-8" and section.seeds == (0, 1, 2)
    assert [shift.name for shift in section.shifts] == ["zero-8", "reflect-8", "crop-3"]
    cells = resolved.cells
    methods = {
        name: {cell.method for cell in cells.values() if cell.dataset == name}
        for name in ("cifar10", "cifar100")
    }
    assert methods["cifar10"] == methods["cifar100"] and len(cells) == 18
    control = cells["baseline-epochs400-batch256"].training
    assert (control.epochs, control.batch_size) == (2 * training.epochs, 2 * training.batch_size)
    assert cells["augshift"].latent_weight == 1 and cells["augshift"].width == 64
    assert resolved.dataset_of(cells["augshift-cifar100"]).class_count == 100


def test_trained_reads_every_method_and_seed_of_the_default_run():
    loaded = merged("trained")
    augshift = settings(AUGSHIFT, "trained")
    assert settings(AUGSHIFT, "base") == augshift
    cells, seeds = augshift.cells, augshift.augshift.seeds
    networks = {
        f"{cell.method}_{seed}": f"{label}-seed{seed}"
        for label, cell in cells.items()
        for seed in cell.seeds
        if cell.training == augshift.augshift.training
    }
    trained = plan(AUGSHIFT, augshift, torch.device("cpu"), torch.float32)["train"]
    assert set(networks.values()) < set(trained)
    expected = {
        row: f"data/06_models/augshift/train/{label}/tensors.safetensors"
        for row, label in networks.items()
    }
    rows = {label: loaded["posenet"]["backbones"][label] for label in loaded["posenet"]["only"]}
    untrained = {f"untrained_{seed}": seed for seed in seeds}
    assert {label: row["weights"] for label, row in rows.items()} == {
        **expected, **dict.fromkeys(untrained, "untrained"),
    }  # fmt: skip
    assert {label: rows[label]["seed"] for label in untrained} == untrained
    changes = {"blurpool": "_blurpool", "fconv": "_fconv"}
    for label, row in rows.items():
        change = changes.get(label.rpartition("_")[0], "")
        assert row["arch"] == f"cifar_resnet18{change}(width={augshift.augshift.width})"
    assert set(settings(POSENET, "trained").cells) == set(rows)


def test_segmenters_reads_networks_of_the_default_run_with_their_own_padding():
    loaded = merged("segmenters")["posenet"]
    attacked = settings(CHANNEL_ATTACK, "base")
    assert settings(CHANNEL_ATTACK, "segmenters") == attacked
    trained = plan(CHANNEL_ATTACK, attacked, torch.device("cpu"), torch.float32)["train"]
    folder, file = "data/06_models/channel_attack/train/", "/tensors.safetensors"
    rows = {label: loaded["backbones"][label] for label in loaded["only"]}
    assert len(rows) == 2 * (5 + 3 + 3) + 3
    for label, row in rows.items():
        kind, _, seed = label.rpartition("_")
        assert row["arch"] == f"segmenter_resnet18(width={attacked.channel_attack.width})"
        if row["weights"] == "untrained":
            trained_row = rows[label.replace("_untrained", "")]
            assert row["seed"] == int(seed) and row["padding"] == trained_row["padding"]
            continue
        name = row["weights"].removeprefix(folder).removesuffix(file)
        network = trained[name].cell
        assert (network.seed, network.network.padding) == (int(seed), row["padding"])
        assert kind == row["padding"] + ("_shifted" if "shifted" in name else "")
    assert set(settings(POSENET, "segmenters").cells) == set(rows)
