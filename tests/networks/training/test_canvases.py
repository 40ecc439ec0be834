from dataclasses import replace

import pytest
import torch
from torch import nn

from posinfo.networks.models.pooled_classifiers import ClassifierConfig, build_classifier
from posinfo.networks.surgery.permutation import ChannelPermutation
from posinfo.networks.training.canvases import (
    TASKS,
    LabelledCanvases,
    count_answers,
    train_on_canvases,
)
from posinfo.networks.training.config import TrainingConfig
from posinfo.stimuli.canvases import CanvasConfig, Canvases
from posinfo.work import Work

CPU = torch.device("cpu")


def labelled(task, count=20, grid=3, tile=4):
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (count, 3, tile, tile), dtype=torch.uint8, generator=generator)
    config = CanvasConfig(grid=grid, location_size=tile, colour="black")
    canvases = Canvases(pixels, config, torch.zeros(3), torch.ones(3), device=CPU)
    return LabelledCanvases(canvases, torch.arange(count) % 5, 5, task)


def numbered(count):
    """Tiles that say which one they are (red), and whether they are mirrored (blue falls)."""
    pixels = torch.zeros(count, 3, 4, 4, dtype=torch.uint8)
    pixels[:, 0] = torch.arange(1, count + 1)[:, None, None]
    pixels[:, 2] = torch.arange(1, 5)
    config = CanvasConfig(grid=3, location_size=4, colour="black")
    canvases = Canvases(pixels, config, torch.zeros(3), torch.ones(3), device=CPU)
    return LabelledCanvases(canvases, torch.arange(count) % 5, 5, "location")


def read(canvases):
    """Of canvases of ``numbered`` tiles: tile, location, whether mirrored."""
    values = (canvases * 255).round().long()
    locations = values[:, 0, ::4, ::4].flatten(1).argmax(1)
    tiles = values.unflatten(2, (3, 4)).unflatten(4, (3, 4))  # (n, 3, rows, 4, columns, 4)
    chosen = tiles[torch.arange(len(tiles)), :, locations // 3, :, locations % 3]
    mirrored = chosen[:, 2, 0, 0] > chosen[:, 2, 0, 3]
    return torch.stack([chosen[:, 0, 0, 0] - 1, locations, mirrored.long()])


class Watched(nn.Module):
    """Keeps what it is shown, and which order of channels it draws; answers by mean colours."""

    def __init__(self, answers=9):
        super().__init__()
        self.head, self.permutation = nn.Linear(3, answers), ChannelPermutation("per_batch", 0)
        self.trained, self.tested = [], []

    def forward(self, canvases):
        order = tuple(self.permutation(torch.arange(9.0)[None])[0].tolist())
        (self.trained if self.training else self.tested).append((canvases.clone(), order))
        return self.head(canvases.mean((2, 3)))


def watched(count=240, **changes):
    """What is shown in two epochs on batches of 40."""
    network, settings = Watched(), {"batch_size": 40, "mirrored": True, **changes}
    train_on_canvases(
        network, numbered(count), numbered(9), protocol(**settings), seed=0, work=Work()
    )
    return network


@pytest.fixture(scope="module")
def shown():
    """Tiles, locations and flips of each step: (12, 3, 40)."""
    return torch.stack([read(canvases) for canvases, _ in watched().trained])


def protocol(**changes):
    settings = {
        "epochs": 2, "batch_size": 8, "optimiser": "adam", "lr": 1e-3, "betas": (0.5, 0.999),
        "momentum": None, "weight_decay": 0.0, "schedule": "constant", "mirrored": False,
        "keep": "best", "compile": False,
    }  # fmt: skip
    return TrainingConfig(**{**settings, **changes})


class Oracle(nn.Module):
    """Finds the location of the tile, unless that is one of those it cannot see."""

    def __init__(self, grid, blind=()):
        super().__init__()
        self.grid, self.blind = grid, blind

    def forward(self, canvases):
        assert not self.training
        size = canvases.shape[-1] // self.grid
        logits = nn.functional.avg_pool2d(canvases.sum(1), size).flatten(1).clone()
        logits[:, list(self.blind)] = 0
        return logits


def test_each_task_has_its_own_labels():
    images, locations = torch.tensor([0, 6, 7]), torch.tensor([8, 2, 0])
    assert set(TASKS) == {"location", "image"}
    assert labelled("location").targets(images, locations).tolist() == [8, 2, 0]
    assert labelled("image").targets(images, locations).tolist() == [0, 1, 2]
    assert labelled("location").answers == 9 and labelled("image").answers == 5


def test_canvases_of_a_split_have_its_tiles_labels_and_all_classes():
    images = {"mean": torch.full((3,), 0.5), "std": torch.full((3,), 0.25)}
    for index, split in enumerate(("train", "validation", "test")):
        shape = (3, 3, 4, 4)
        images[f"{split}.pixels"] = torch.full(shape, 60 * index, dtype=torch.uint8)
        images[f"{split}.labels"] = torch.tensor(
            [0, index, 2 * index]
        )  # 4 in the test images alone
    canvas = CanvasConfig(grid=2, location_size=4, colour="white")
    shown = LabelledCanvases.of(images, "validation", canvas, "image", Work(dtype=torch.bfloat16))
    assert shown.labels.tolist() == [0, 1, 2] and shown.answers == shown.classes == 5
    batch = shown.canvases.batch(torch.tensor([1]), torch.tensor([3]))
    assert batch.dtype == torch.bfloat16 and batch.shape == (1, 3, 8, 8)
    tile, around = (60 / 255 - 0.5) / 0.25, (1 - 0.5) / 0.25
    assert batch[0, :, 4:, 4:].float().mean().item() == pytest.approx(tile, abs=0.01)
    assert batch[0, :, :4].float().mean().item() == pytest.approx(around, abs=0.01)
    assert LabelledCanvases.of(images, "test", canvas, "location", Work()).answers == 4
    with pytest.raises(ValueError, match="^tiles of 4 x 4 px do not fit a canvas location of 3 px"):
        small = CanvasConfig(grid=2, location_size=3, colour="white")
        LabelledCanvases.of(images, "test", small, "image", Work())


def test_every_image_stands_at_every_location_once():
    counts = count_answers(Oracle(3), labelled("location"), Work())
    assert torch.equal(counts.sum(2), 20 * torch.eye(9, dtype=torch.long))
    assert torch.equal(counts.diagonal(dim1=1, dim2=2), 20 * torch.eye(9, dtype=torch.long))


def test_exhaustive_accuracy_is_the_mean_over_locations():
    counts = count_answers(Oracle(3, blind=(4, 7)), labelled("location"), Work())
    right = counts.diagonal(dim1=1, dim2=2).sum(1)
    per_location = right / counts.sum((1, 2))
    assert per_location.tolist() == [1, 1, 1, 1, 0, 1, 1, 0, 1]
    assert right.sum() / counts.sum() == pytest.approx(per_location.mean().item())


class Orders(nn.Module):
    """Answers with the first entry of the order of channels that a batch was given."""

    def __init__(self):
        super().__init__()
        self.permutation = ChannelPermutation("per_batch", 0)
        self.orders = []

    def forward(self, canvases):
        order = self.permutation(torch.arange(9.0).expand(len(canvases), -1))
        self.orders.append(tuple(order[0].tolist()))
        return torch.eye(9)[order[:, 0].long()]


def test_each_location_is_answered_under_many_orders_that_repeat():
    network = Orders()
    before = network.state_dict()["permutation._extra_state"].clone()
    counts = count_answers(network, labelled("location", count=200), Work())
    assert ((counts.sum(1) > 0).sum(1) >= 8).all()  # nearly every first channel, at each location
    again = count_answers(network, labelled("location", count=200), Work())
    assert torch.equal(counts, again)
    assert torch.equal(network.state_dict()["permutation._extra_state"], before)


def test_validation_draws_the_same_orders_each_time_and_leaves_those_of_the_training_alone():
    network, drawn = watched(epochs=3), ChannelPermutation("per_batch", 0)
    trained, tested = ([order for _, order in each] for each in (network.trained, network.tested))
    assert len(tested) == 3 and len(set(tested)) == 1 and not set(tested) & set(trained)
    expected = [drawn(torch.arange(9.0)[None])[0].tolist() for _ in trained]
    assert [list(order) for order in trained] == expected


def test_validation_images_stand_at_the_same_random_places_after_every_epoch():
    (first, _), (second, _) = watched().tested
    assert torch.equal(first, second)
    tiles, locations, mirrored = read(first)
    assert tiles.bincount().tolist() == [3] * 9 and not mirrored.any()
    assert len(locations.unique()) > 5
    assert len({tuple(locations[tiles == tile].tolist()) for tile in range(9)}) > 5


def test_answers_on_images_are_counted_by_their_label():
    class Constant(nn.Module):
        def forward(self, canvases):
            return torch.eye(5)[3].expand(len(canvases), -1)

    counts = count_answers(Constant(), labelled("image"), Work())
    assert counts.shape == (9, 5, 5)
    assert torch.equal(counts[:, :, 3], torch.full((9, 5), 4)) and counts.sum() == 9 * 20


def test_every_tile_is_shown_once_an_epoch_and_locations_equally_often(shown):
    tiles, locations, mirrored = shown.unbind(1)
    for epoch in tiles.split(6):
        assert torch.equal(epoch.flatten().sort().values, torch.arange(240))
    counts, expected = locations.flatten().bincount(minlength=9), 12 * 40 / 9
    # chi-square of 8 degrees of freedom: beyond 26.1 once in a thousand
    assert ((counts - expected).square() / expected).sum() < 26.1
    assert 0.35 < mirrored.double().mean() < 0.65


def test_every_step_draws_anew(shown):
    for drawn in shown.unbind(1):
        assert len(drawn.unique(dim=0)) == 12


def test_smaller_batch_at_the_end_is_shown_and_nothing_is_flipped_unless_asked_for():
    steps = [read(canvases) for canvases, _ in watched(count=47, mirrored=False).trained]
    assert [step.shape[1] for step in steps] == [40, 7] * 2
    assert not any(step[2].any() for step in steps)


def test_seeds_draw_anew_and_repeat():
    def first_step(seed):
        network = Watched()
        settings = protocol(batch_size=40, epochs=1)
        train_on_canvases(network, numbered(40), numbered(9), settings, seed=seed, work=Work())
        return network.trained[0][0]

    assert torch.equal(first_step(0), first_step(0))
    assert not torch.equal(first_step(0), first_step(1))


def test_each_tile_is_answered_by_its_own_label():
    """Three colours, which a linear layer tells apart once they have their labels."""
    labels = torch.arange(24) % 3
    pixels = 255 * torch.eye(3, dtype=torch.uint8)[labels]
    config = CanvasConfig(grid=2, location_size=4, colour="black")
    tiles = pixels[:, :, None, None].expand(-1, -1, 4, 4)
    canvases = Canvases(tiles, config, torch.zeros(3), torch.ones(3), device=CPU)
    coloured = LabelledCanvases(canvases, labels, 3, "image")
    settings = protocol(lr=0.5, epochs=20)
    fitted = train_on_canvases(Watched(3), coloured, coloured, settings, seed=0, work=Work())
    assert fitted.losses[-1] < 0.2 and fitted.scores[-1] == 1


def small_network(seed=0):
    config = ClassifierConfig(
        network="permutenet", arch="canvas_resnet18", width=2, padding="zero",
        permutation="per_batch", permuted_before=None,
    )  # fmt: skip
    return build_classifier(config, 4, seed, 32)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_training_repeats_and_lowers_the_loss(tmp_path, dtype):
    shown = labelled("location", count=40, grid=2, tile=16)
    results = []
    for name in ("one", "two"):
        network = small_network()
        fitted = train_on_canvases(
            network, shown, labelled("location", count=10, grid=2, tile=16),
            protocol(epochs=4, lr=0.01), seed=0,
            work=Work(dtype=dtype, checkpoint=tmp_path / f"{name}.pt"),
        )  # fmt: skip
        results.append((network, fitted))
    (one, fitted), (two, again) = results
    assert torch.equal(fitted.losses, again.losses) and fitted.losses[-1] < fitted.losses[0]
    assert not torch.equal(fitted.losses, fitted.losses.bfloat16().float())  # always in float32
    for name, value in one.state_dict().items():
        assert torch.equal(value, two.state_dict()[name]), name


def test_network_is_compiled_where_that_is_asked_for(monkeypatch):
    compiled = []

    def note(network):
        compiled.append(network)

    monkeypatch.setattr(nn.Module, "compile", note)
    network, shown = Watched(), numbered(8)
    for compile in (False, True):
        settings = protocol(compile=compile, epochs=1)
        train_on_canvases(network, shown, shown, settings, seed=0, work=Work())
    assert compiled == [network]


def test_steps_and_canvases_are_counted_but_not_those_of_the_validation():
    shown = labelled("location", count=24, grid=2, tile=16)
    totals, done = [], []
    work = Work(on_total=totals.append, on_progress=done.append)
    network = small_network()
    train_on_canvases(network, shown, shown, protocol(), seed=0, work=work)
    assert totals == [2 * 3] and done == [0] + [1] * 6
    count_answers(network, shown, work)
    assert totals[1:] == [24 * 4] and sum(done[7:]) == 24 * 4


@pytest.mark.cuda
def test_training_and_test_on_a_gpu(tmp_path):
    device = torch.device("cuda")
    work = Work(device=device, dtype=torch.bfloat16)
    shown = labelled("location", count=24, grid=2, tile=16)
    canvases = Canvases(
        torch.zeros(24, 3, 16, 16, dtype=torch.uint8), shown.canvases.config, torch.zeros(3),
        torch.ones(3), device=device, dtype=torch.bfloat16,
    )  # fmt: skip
    there = LabelledCanvases(canvases, shown.labels, shown.classes, shown.task)
    network = small_network().to(device)
    fitted = train_on_canvases(
        network, there, there, protocol(), seed=0,
        work=replace(work, checkpoint=tmp_path / "a.pt"),
    )  # fmt: skip
    assert fitted.losses.isfinite().all()
    assert count_answers(network, there, work).sum() == 24 * 4
