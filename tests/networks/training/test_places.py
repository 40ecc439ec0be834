import pytest
import torch
from torch.nn.functional import conv2d, pad

from posinfo.networks.models.normalisation import normalise
from posinfo.networks.models.place_classifiers import build_place_classifier
from posinfo.networks.training.places import (
    PlacedTiles,
    place_accuracy,
    place_features,
    train_places,
)
from posinfo.stimuli.quadrants import TILE, QuadrantConfig
from posinfo.work import Work
from tests.networks.models.test_place_classifiers import config
from tests.networks.training.test_stacked import training

CPU = torch.device("cpu")


def placed(count=4, kind="black", border=4, seed=0, colours=None):
    generator = torch.Generator().manual_seed(seed)
    tiles = torch.randint(256, (count, 3, TILE, TILE), generator=generator).byte()
    return PlacedTiles(tiles, QuadrantConfig(canvas=120, border=border, kind=kind), colours)


def test_black_is_black_and_each_tile_stands_at_both_places():
    data = placed()
    images, places = data.images(torch.tensor([5, 0]), CPU)
    assert places.tolist() == [1, 0] and len(data) == 8
    expected = torch.zeros(2, 3, 128, 128, dtype=torch.uint8)
    expected[0, :, 68:124, 68:124] = data.tiles[2]
    expected[1, :, 4:60, 4:60] = data.tiles[0]
    assert torch.equal(images, normalise(expected, "imagenet"))
    assert images.is_contiguous(memory_format=torch.channels_last)


def test_released_border_is_the_first_convolution_s_and_of_the_mean_colour(generator):
    images, _ = placed(kind="released", border=9).images(torch.arange(8), CPU)
    assert images.shape[2] == 120
    outside = torch.ones(120, 120, dtype=torch.bool)
    outside[:TILE, :TILE] = outside[64:, 64:] = False
    assert (images[:, :, outside] == 0).all()
    kernel = torch.rand(2, 3, 3, 3, generator=generator)
    torch.testing.assert_close(
        conv2d(images, kernel, padding=9), conv2d(pad(images, (9, 9, 9, 9)), kernel)
    )


def test_colours_are_those_of_the_weights():
    halves = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    images, _ = placed(colours=halves).images(torch.tensor([0]), CPU)
    assert images[0, :, 0, 0].tolist() == [-1, -1, -1]


def test_all_images_come_once_and_in_order():
    told, data = [], placed(30)
    batches = list(data.batches(Work(on_progress=told.append)))
    assert sum(told) == len(data) == 60 and len(told) > 0
    assert torch.cat([places for _, places in batches]).tolist() == [0, 1] * 30
    network = build_place_classifier(config(), 128, 0)
    features, places = place_features(network, data, Work())
    with torch.inference_mode():
        expected = network.features(data.images(torch.tensor([41]), CPU)[0])
    torch.testing.assert_close(torch.from_numpy(features[41:42]), expected, rtol=1e-4, atol=1e-5)
    assert places.tolist() == [0, 1] * 30


def test_training_finds_the_place_and_a_seed_draws_the_order():
    splits = {"train": placed(16), "validation": placed(8, seed=1)}
    protocol = training(epochs=6, batch_size=8, optimiser="sgd", lr=0.005, momentum=0.9)
    states = []
    for seed in (0, 0, 1):
        network = build_place_classifier(config(), 128, 0)
        fitted = train_places(network, splits, protocol, seed=seed, work=Work())
        states.append(network.head.weight.detach().clone())
        assert place_accuracy(network, splits["validation"], Work()) == fitted.scores.max()
    assert fitted.scores.max() > 0.8
    assert torch.equal(states[0], states[1]) and not torch.equal(states[0], states[2])
    with pytest.raises(ValueError, match="4 train images are fewer than a batch of 8"):
        few = {**splits, "train": placed(2)}
        train_places(network, few, protocol, seed=0, work=Work())
