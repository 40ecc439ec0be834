import logging

import pytest
import torch
from torch import nn

from posinfo.networks.training import Fitted
from posinfo.pipelines.trained_networks import (
    checked_images,
    file_name,
    images_key,
    load_images,
    read_trained,
    train_network,
)
from posinfo.stimuli.labelled_images import DatasetConfig

IMAGES = {"mean": torch.zeros(3), "std": torch.ones(3), "train.labels": torch.arange(4)}
FITTED = Fitted(torch.tensor([2.0, 1.0]), torch.tensor([0.75, 0.25]), 1)


def dataset(**changes):
    settings = {
        "name": "textures", "folder": "nowhere", "download": False, "validation": 0.5,
        "classes": None, "train_limit": 40, "test_limit": 20, "seed": 0,
    }  # fmt: skip
    return DatasetConfig(**{**settings, **changes})


def test_images_know_their_settings():
    stored = load_images(dataset())
    images = checked_images(stored, dataset(folder="elsewhere", download=True))
    assert images["train.pixels"].shape == (20, 3, 32, 32) and "settings" not in images
    for name, value in {"train_limit": 60, "test_limit": None, "seed": 1}.items():
        message = (
            f"^the images of 'textures' were made with other settings .*\\({name}\\): "
            "run the stage `data_preparation`"
        )
        with pytest.raises(ValueError, match=message):
            checked_images(stored, dataset(**{name: value}))


def trained(fit, tmp_path, settings=None, device="cpu"):
    return train_network(
        "a-seed0", nn.Linear(2, 1), fit, 3, images=IMAGES, settings=settings or {"lr": 1},
        device=torch.device(device), precision=torch.float32, source="abc", checkpoints=tmp_path,
    )  # fmt: skip


def test_each_training_has_a_checkpoint_of_its_own(tmp_path):
    seen = []

    def fit(checkpoint, on_progress):
        seen.append(checkpoint)
        on_progress(3)
        return FITTED

    trained(fit, tmp_path)
    trained(fit, tmp_path, settings={"lr": 2})
    trained(fit, tmp_path, device="cuda")
    trained(fit, tmp_path)
    assert len(set(seen)) == 3 and seen[0] == seen[3]
    assert all(path.parent == tmp_path and path.name.startswith("a-seed0-") for path in seen)


def test_log_has_the_epoch_that_was_kept(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    trained(lambda checkpoint, on_progress: FITTED, tmp_path)
    assert "a-seed0: validation accuracy 0.750 in epoch 1 of 2" in caplog.text


def test_divergence_says_which_cell(tmp_path):
    def fit(checkpoint, on_progress):
        raise FloatingPointError("epoch 2: the loss is nan")

    with pytest.raises(FloatingPointError, match="^a-seed0: epoch 2: the loss is nan$"):
        trained(fit, tmp_path)


def test_stored_network_is_found_again(tmp_path):
    tensors = trained(lambda checkpoint, on_progress: FITTED, tmp_path)
    networks = {file_name("a", 0): lambda: tensors}
    found = read_trained(networks, "a", 0, {"lr": 1})
    assert torch.equal(found.weights["weight"], tensors["weight"])
    with pytest.raises(ValueError, match=r"^the weights of a-seed0 were made with other .*\(lr\)"):
        read_trained(networks, "a", 0, {"lr": 2})
    with pytest.raises(ValueError, match="^there is no file with the weights of 'a-seed1': "):
        read_trained(networks, "a", 1, {"lr": 1})


def test_images_of_other_code_are_refused(monkeypatch):
    stored = load_images(dataset())
    monkeypatch.setattr("posinfo.pipelines.trained_networks.source_key", lambda *_: "other")
    with pytest.raises(ValueError, match=r"were made with other settings .*\(code\): run"):
        checked_images(stored, dataset())


@pytest.mark.parametrize("name", IMAGES)
def test_key_changes_with_every_tensor_of_a_training(name):
    assert images_key(IMAGES) == images_key(dict(reversed(IMAGES.items())))
    assert images_key(IMAGES) == images_key({**IMAGES, "test.labels": torch.arange(9)})
    assert images_key(IMAGES) != images_key({**IMAGES, name: IMAGES[name] + 1})
