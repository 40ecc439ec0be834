import numpy as np
import pytest
import torch

from posinfo.experiment import Result
from posinfo.experiments.permutenet.train import NetworkCell, run
from posinfo.networks.models.pooled_classifiers import ClassifierConfig, build_classifier
from posinfo.networks.training.canvases import LabelledCanvases, train_on_canvases
from posinfo.networks.training.config import TrainingConfig
from posinfo.stimuli.canvases import CanvasConfig
from posinfo.work import Work


def network_cell(**changes):
    """A small network that learns something in a second."""
    settings = {
        "classifier": ClassifierConfig(
            network="gapnet", arch="canvas_resnet18", width=2, padding="zero", permutation="none",
            permuted_before=None,
        ),
        "canvas": CanvasConfig(grid=2, location_size=16, colour="black"),
        "task": "image",
        "training": training(),
        "seed": 3,
    }  # fmt: skip
    return NetworkCell(**{**settings, **changes})


def training(**changes):
    protocol = {
        "epochs": 10, "batch_size": 8, "optimiser": "adam", "lr": 0.01, "betas": (0.5, 0.999),
        "momentum": None, "weight_decay": 0.0, "schedule": "constant", "mirrored": False,
        "keep": "best", "compile": False,
    }  # fmt: skip
    return TrainingConfig(**{**protocol, **changes})


def labelled_images(side=16):
    generator = torch.Generator().manual_seed(0)
    tensors = {"mean": torch.tensor([0.4, 0.5, 0.6]), "std": torch.tensor([0.2, 0.25, 0.3])}
    for split, count in {"train": 20, "validation": 10, "test": 15}.items():
        shape = (count, 3, side, side)
        labels = torch.cat([torch.tensor([4]), torch.randint(5, (count - 1,), generator=generator)])
        pixels = torch.randint(0, 64, shape, generator=generator) + 45 * labels[:, None, None, None]
        tensors |= {f"{split}.pixels": pixels.byte(), f"{split}.labels": labels}
    return Result(tensors=tensors)


def test_network_is_trained_on_train_images_and_chosen_on_validation_images():
    cell, images = network_cell(), labelled_images()
    result = run(cell, {"images": images}, Work())
    train, validation = (
        LabelledCanvases.of(images.tensors, split, cell.canvas, "image", Work())
        for split in ("train", "validation")
    )
    network = build_classifier(cell.classifier, 5, 3, 32)
    fitted = train_on_canvases(network, train, validation, cell.training, seed=3, work=Work())
    for name, tensor in network.state_dict().items():
        assert torch.equal(result.tensors[name], tensor), name
    assert result.history["train_loss"] == fitted.losses.tolist()
    assert result.history["validation_accuracy"] == fitted.scores.tolist()
    assert result.facts == {"epoch": fitted.epoch}
    assert len(fitted.scores.unique()) > 2
    assert torch.equal(result.tensors["colours.mean"], images.tensors["mean"])


def test_a_seed_draws_weights_and_order():
    one, again, other = (
        run(network_cell(seed=seed), {"images": labelled_images()}, Work()).tensors
        for seed in (0, 0, 1)
    )
    assert all(torch.equal(one[name], again[name]) for name in one)
    assert any(not torch.equal(one[name], other[name]) for name in one)


def test_work_hears_of_steps_and_epochs(tmp_path):
    totals, steps, epochs = [], [], []
    work = Work(
        checkpoint=tmp_path / "a.pt", on_total=totals.append, on_progress=steps.append,
        on_epoch=lambda *told: epochs.append(told),
    )  # fmt: skip
    result = run(network_cell(), {"images": labelled_images()}, work)
    assert totals == [10 * 3] and sum(steps) == 10 * 3
    history = result.history["train_loss"], result.history["validation_accuracy"]
    expected = [(n, *values) for n, values in enumerate(zip(*history, strict=True), start=1)]
    np.testing.assert_allclose(epochs, expected, rtol=1e-6)
    assert (tmp_path / "a.pt").exists()


def test_divergence_says_in_which_epoch_and_step():
    with pytest.raises(
        FloatingPointError, match=r"^epoch 1: .* in step \d: lower the learning rate$"
    ):
        run(network_cell(training=training(lr=1e30)), {"images": labelled_images()}, Work())


def test_tiles_that_do_not_fit_are_refused():
    with pytest.raises(
        ValueError, match="^tiles of 17 x 17 px do not fit a canvas location of 16 px"
    ):
        run(network_cell(), {"images": labelled_images(17)}, Work())


def test_canvas_that_is_too_small_is_refused_by_a_dry_run():
    network_cell().check()
    classifier = network_cell().classifier.model_copy(update={"padding": "none"})
    with pytest.raises(
        ValueError, match=r"the smallest canvas \(grid x location_size\) is 251 px$"
    ):
        network_cell(classifier=classifier).check()
