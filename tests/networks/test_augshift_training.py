import pytest
import torch
from torch import nn

from posinfo.measures.consistency import exact_consistency
from posinfo.networks.augshift import METHODS, LatentClassifier, build_latent_classifier
from posinfo.networks.augshift_training import _batches, predict_offsets, train_augshift
from posinfo.networks.training_config import TrainingConfig
from posinfo.stimuli.crops import Crops
from posinfo.work import Work
from tests.networks.test_augshift import config

CPU = torch.device("cpu")
OFFSETS = [(row, column) for row in range(3) for column in range(3)]


def protocol(**changes):
    settings = {
        "epochs": 2, "batch_size": 8, "optimiser": "sgd", "lr": 0.05, "betas": None,
        "momentum": 0.9, "weight_decay": 0.0, "schedule": "cosine", "mirrored": True,
        "keep": "best", "compile": False,
    }  # fmt: skip
    return TrainingConfig(**{**settings, **changes})


def crops(count=20, max_shift=2, padding="zero", side=32):
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (count, 3, side, side), dtype=torch.uint8, generator=generator)
    mean, std = torch.full((3,), 0.5), torch.full((3,), 0.25)
    return Crops(pixels, max_shift, padding, mean, std, device=CPU)


def test_two_crops_are_independent_and_flipped_alike():
    shown = crops(count=400, max_shift=8)
    images, offsets, mirrored = next(_batches(shown, protocol(batch_size=400), 2, 0, 1))
    assert torch.equal(images.sort().values, torch.arange(400))
    assert offsets.shape == (2, 400, 2) and mirrored.shape == (400,)
    assert offsets.min() == 0 and offsets.max() == 8
    same = (offsets[0] == offsets[1]).all(1).double().mean()
    assert same < 0.05  # one in 81


@pytest.mark.parametrize("method", [*METHODS, "augshift+fconv", "two_crops+blurpool"])
def test_every_method_trains_and_repeats(tmp_path, method):
    labels = torch.arange(20) % 4
    results = []
    for name in ("one", "two"):
        network = build_latent_classifier(config(method), 4, 0)
        fitted = train_augshift(
            network, (crops(), labels), (crops(max_shift=0), labels), config(method), protocol(),
            seed=0, work=Work(checkpoint=tmp_path / f"{name}.pt"),
        )  # fmt: skip
        results.append((network.state_dict(), fitted.losses))
    (one, losses), (two, again) = results
    assert torch.equal(losses, again)
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_steps_and_windows_are_counted_but_not_those_of_the_validation():
    labels = torch.arange(20) % 4
    network = build_latent_classifier(config(), 4, 0)
    totals, done = [], []
    work = Work(on_total=totals.append, on_progress=done.append)
    train_augshift(
        network, (crops(), labels), (crops(max_shift=0), labels), config(), protocol(),
        seed=0, work=work,
    )  # fmt: skip
    assert totals == [2 * 2] and done == [0] + [1] * 4
    predict_offsets(network, crops(), OFFSETS[:2], work)
    assert totals == [2 * 2] and sum(done[5:]) == 20 * 2  # the caller knows the total


def test_one_forward_per_image_and_offset():
    class Counting(nn.Module):
        def __init__(self):
            super().__init__()
            self.shown = []

        def forward(self, images):
            self.shown += [tuple(image.flatten().tolist()) for image in images]
            return images.mean((2, 3))

    network, shown = Counting(), crops(count=7, side=8)
    answers = predict_offsets(network, shown, OFFSETS, Work())
    assert answers.shape == (7, 9)
    assert len(network.shown) == 7 * 9 == len(set(network.shown))
    images, offsets = torch.tensor([5]), torch.tensor([[1, 2]])
    assert answers[5, 5] == shown.batch(images, offsets).mean((2, 3)).argmax()


def test_answers_stand_at_their_offsets():
    class TopLeft(nn.Module):
        """Which pixel the window begins with."""

        def forward(self, images):
            return nn.functional.one_hot((images[:, 0, 0, 0] * 255).round().long(), 25).float()

    numbered = torch.arange(25, dtype=torch.uint8).view(1, 1, 5, 5).expand(2, 3, 5, 5)
    shown = Crops(numbered, 2, "circular", torch.zeros(3), torch.ones(3), device=CPU)
    answers = predict_offsets(TopLeft(), shown, OFFSETS, Work())
    rolled = numbered[:, 0].roll((1, 1), (1, 2))[:, :3, :3].flatten(1)
    assert torch.equal(answers, rolled.long())


def test_circular_stride_one_network_with_global_pooling_is_exactly_consistent():
    torch.manual_seed(0)
    convolutions = [
        nn.Conv2d(3, 6, 3, padding=1, padding_mode="circular"), nn.ReLU(),
        nn.Conv2d(6, 6, 3, padding=1, padding_mode="circular"), nn.ReLU(),
    ]  # fmt: skip
    network = LatentClassifier(nn.Sequential(*convolutions), 6, 6)

    base = crops(count=12, max_shift=2, padding="circular", side=8)
    answers = predict_offsets(network, base, OFFSETS, Work())
    assert exact_consistency(answers.view(12, 3, 3)) == 1.0


def test_too_few_images_and_labels_without_a_class(tmp_path):
    def train(labels, **changes):
        shown = (crops(count=len(labels)), labels)
        train_augshift(
            build_latent_classifier(config(), 4, 0), shown, shown, config(), protocol(**changes),
            seed=0, work=Work(checkpoint=tmp_path / "a.pt"),
        )  # fmt: skip

    with pytest.raises(ValueError, match="^7 train images are fewer than a batch of 8$"):
        train(torch.arange(7) % 4)
    with pytest.raises(ValueError, match="^the labels go up to 4, but the network has 4 classes$"):
        train(torch.arange(20) % 5)


def test_compiling_covers_the_loss(tmp_path, monkeypatch):
    compiled = []

    def eagerly(network):
        compiled.append(network)
        original(network, backend="eager")

    original = nn.Module.compile
    monkeypatch.setattr(nn.Module, "compile", eagerly)
    network, labels = build_latent_classifier(config(), 4, 0), torch.arange(20) % 4
    train_augshift(
        network, (crops(), labels), (crops(max_shift=0), labels), config(), protocol(compile=True),
        seed=0, work=Work(checkpoint=tmp_path / "a.pt"),
    )  # fmt: skip
    assert compiled == [network.maps]  # which both the loss and the forward call
