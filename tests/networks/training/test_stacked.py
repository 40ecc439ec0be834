import pytest
import torch

from posinfo.networks.models.stacked_convnets import ConvNetConfig, StackedConvNets
from posinfo.networks.training.config import TrainingConfig
from posinfo.networks.training.stacked import predict_stacked, train_stacked
from posinfo.stimuli.red_green import red_green
from posinfo.work import Work

SEEDS = (0, 1, 5)


def training(**changes):
    settings = {
        "epochs": 4, "batch_size": 20, "optimiser": "adadelta", "lr": 1.0, "betas": None,
        "momentum": None, "weight_decay": 5e-5, "schedule": "constant", "mirrored": False,
        "keep": "best", "compile": False,
    }  # fmt: skip
    return TrainingConfig(**{**settings, **changes})


def networks(seeds=SEEDS):
    config = ConvNetConfig(channels=(8, 8), strides=(2, 2), kernel_size=3, padding="zero")
    return StackedConvNets(config, 3, 2, seeds)


@pytest.fixture(scope="module")
def splits():
    found = red_green({"train": 90, "validation": 40})
    return [(split.similar, split.classes) for split in found.values()]


@pytest.mark.parametrize("keep", ["best", "last"])
def test_seeds_together_are_trained_as_one_by_one(splits, keep):
    together = networks()
    history = train_stacked(together, *splits, training(keep=keep))
    for index, seed in enumerate(SEEDS):
        alone = networks([seed])
        expected = train_stacked(alone, *splits, training(keep=keep))
        for name, values in expected.items():
            torch.testing.assert_close(history[name][:, index], values[:, 0], rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(
            predict_stacked(together, splits[1][0])[1][:, index],
            predict_stacked(alone, splits[1][0])[1][:, 0],
            rtol=1e-5, atol=1e-5,
        )  # fmt: skip


def test_each_seed_keeps_the_epoch_of_its_own_lowest_validation_loss(splits):
    train, (images, labels) = splits
    of_wrong = (images, 1 - labels)  # the longer the training, the higher this loss
    model, first = networks(), networks()
    history = train_stacked(model, train, of_wrong, training(epochs=5))["validation_loss"]
    best = history.argmin(0)
    _, logits = predict_stacked(model, images)
    for index, epoch in enumerate(best.tolist()):
        loss = torch.nn.functional.cross_entropy(logits[:, index], 1 - labels)
        torch.testing.assert_close(loss, history[epoch, index])
    assert not torch.equal(first.head_of_weight, model.head_of_weight)
    assert history.min() < history[-1].max()


def test_steps_are_told_and_too_few_images_refused(splits):
    told = []
    work = Work(on_total=told.append, on_progress=lambda steps: told.append(-steps))
    train_stacked(networks(), *splits, training(epochs=2), work)
    assert told == [8] + [-1] * 8  # of 90 images, ten are left out
    with pytest.raises(ValueError, match="90 train images are fewer than a batch"):
        train_stacked(networks(), *splits, training(batch_size=91))
