import pytest
import torch
from torch import nn

from posinfo.measures.consistency import exact_consistency
from posinfo.networks.models.augshift import METHODS, LatentClassifier, build_latent_classifier
from posinfo.networks.training.augshift import predict_offsets, train_augshift
from posinfo.networks.training.config import TrainingConfig
from posinfo.stimuli.crops import Crops
from posinfo.work import Work
from tests.networks.models.test_augshift import config

CPU = torch.device("cpu")
OFFSETS = [(row, column) for row in range(3) for column in range(3)]


def protocol(**changes):
    settings = {
        "epochs": 2, "batch_size": 8, "optimiser": "sgd", "lr": 0.05, "betas": None,
        "momentum": 0.9, "weight_decay": 0.0, "schedule": "cosine", "mirrored": True,
        "keep": "best", "compile": False,
    }  # fmt: skip
    return TrainingConfig(**{**settings, **changes})


def crops(count=20, max_shift=2, padding="zero", side=32, dtype=torch.float32):
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (count, 3, side, side), dtype=torch.uint8, generator=generator)
    mean, std = torch.full((3,), 0.5), torch.full((3,), 0.25)
    return Crops(pixels, max_shift, padding, mean, std, device=CPU, dtype=dtype)


def plain(pixels, max_shift=0):
    return Crops(pixels, max_shift, "circular", torch.zeros(3), torch.ones(3), device=CPU)


def numbered(count, max_shift=0):
    """Images that say which one they are (red), and of each pixel its row and column."""
    pixels = torch.zeros(count, 3, 5, 5, dtype=torch.uint8)
    pixels[:, 0] = torch.arange(count)[:, None, None]
    pixels[:, 1], pixels[:, 2] = torch.arange(5)[:, None], torch.arange(5)
    return plain(pixels, max_shift)


def read(windows):
    """Of windows of ``numbered`` images: image, row and column of the offset, whether mirrored."""
    red, green, blue = (windows * 255).round().long().unbind(1)
    mirrored = (blue[:, 0, 1] - blue[:, 0, 0]) % 5 == 4
    left = torch.where(mirrored, blue[:, 0, -1], blue[:, 0, 0])
    return torch.stack([red[:, 0, 0], (green[:, 0, 0] + 1) % 5, (left + 1) % 5, mirrored.long()])


class Watched(LatentClassifier):
    """Keeps what it is shown, by its mode; latents are the mean colours."""

    def __init__(self, classes=4):
        super().__init__(nn.Identity(), 3, classes)
        self.trained, self.tested = [], []

    def latents(self, images):
        (self.trained if self.training else self.tested).append(images.clone())
        return super().latents(images)


def watched(count=240, **changes):
    """What is shown in two epochs on two crops of each image, with offsets 0 to 2."""
    network, labels = Watched(), torch.arange(count) % 4
    train_augshift(
        network, (numbered(count, 2), labels), (numbered(9), labels[:9]), config("augshift"),
        protocol(**{"batch_size": 40, "lr": 1e-3, **changes}), seed=0, work=Work(),
    )  # fmt: skip
    return network


@pytest.fixture(scope="module")
def shown():
    """Images, rows, columns and flips, by step and view: (12, 4, 2, 40)."""
    return torch.stack([read(step).unflatten(1, (2, 40)) for step in watched().trained])


def test_both_crops_show_the_same_images_flipped_alike(shown):
    images, _, _, mirrored = shown.unbind(1)
    assert torch.equal(images[:, 0], images[:, 1])
    assert torch.equal(mirrored[:, 0], mirrored[:, 1])
    assert 0.35 < mirrored.double().mean() < 0.65


def test_crops_are_independent_and_take_every_offset(shown):
    _, rows, columns, _ = shown.unbind(1)
    for offsets in (rows, columns):
        # chi-square of 2 degrees of freedom: beyond 13.8 once in a thousand
        counts, expected = offsets.flatten().bincount(), 12 * 2 * 40 / 3
        assert len(counts) == 3 and ((counts - expected) ** 2 / expected).sum() < 13.8
    both = (rows[:, 0] == rows[:, 1]) & (columns[:, 0] == columns[:, 1])
    assert both.double().mean() < 0.2  # of one in nine
    assert (rows == columns).double().mean() < 0.45  # of one in three


def test_every_step_draws_anew_and_every_epoch_shows_each_image_once(shown):
    for drawn in shown[:, :, 0].unbind(1):
        assert len(drawn.unique(dim=0)) == 12
    for epoch in shown[:, 0, 0].split(6):
        assert torch.equal(epoch.flatten().sort().values, torch.arange(240))


def test_incomplete_batch_is_left_out_and_nothing_is_flipped_unless_asked_for():
    network = watched(count=247, mirrored=False)
    assert [len(step) for step in network.trained] == [2 * 40] * 12
    assert not any(read(step)[3].any() for step in network.trained)


def test_whole_unshifted_validation_images_are_classified_in_evaluation_mode():
    network = watched(count=40)
    assert len(network.tested) == 2  # epochs
    for seen in network.tested:
        assert torch.equal(seen, numbered(9).batch(torch.arange(9), torch.zeros(9, 2).long()))


def test_each_crop_is_classified_by_the_label_of_its_image():
    """Three colours, which a linear layer tells apart once they have their labels."""
    labels = torch.arange(24) % 3
    pixels = 255 * torch.eye(3, dtype=torch.uint8)[labels]
    images = plain(pixels[:, :, None, None].expand(-1, -1, 4, 4), 2), labels
    fitted = train_augshift(
        Watched(3), images, images, config("two_crops"), protocol(lr=1.0, epochs=10), seed=0,
        work=Work(),
    )  # fmt: skip
    assert fitted.losses[-1] < 0.2 and fitted.scores[-1] == 1


def test_bfloat16_is_that_of_the_maps_alone():
    labels = torch.arange(20) % 4
    network = build_latent_classifier(config(), 4, 0)
    fitted = train_augshift(
        network, (crops(dtype=torch.bfloat16), labels),
        (crops(max_shift=0, dtype=torch.bfloat16), labels), config(), protocol(batch_size=20),
        seed=0, work=Work(dtype=torch.bfloat16),
    )  # fmt: skip
    assert not torch.equal(fitted.losses, fitted.losses.bfloat16().float())
    assert {parameter.dtype for parameter in network.parameters()} == {torch.float32}


@pytest.mark.parametrize("method", [*METHODS, "augshift+fconv", "two_crops+blurpool"])
def test_every_method_trains_and_repeats(tmp_path, method):
    labels = torch.arange(20) % 4
    results, untrained = [], build_latent_classifier(config(method), 4, 0).state_dict()
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
    learned = dict(network.named_parameters())
    assert not any(torch.equal(one[name], untrained[name]) for name in learned)


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


def test_compiling_covers_the_loss(monkeypatch):
    compiled = []

    def note(network):
        compiled.append(network)

    monkeypatch.setattr(nn.Module, "compile", note)
    network, labels = build_latent_classifier(config(), 4, 0), torch.arange(20) % 4
    train_augshift(
        network, (crops(), labels), (crops(max_shift=0), labels), config(),
        protocol(compile=True, epochs=1), seed=0, work=Work(),
    )  # fmt: skip
    assert compiled == [network.maps]  # which both the loss and the forward call
