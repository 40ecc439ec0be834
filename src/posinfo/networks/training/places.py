"""Training and reading of networks that are asked at which of two places a tile stands."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor
from torch.nn.functional import cross_entropy

from posinfo.networks.models.normalisation import Colours, normalise
from posinfo.networks.models.place_classifiers import PLACES, PlaceClassifier
from posinfo.networks.readouts.logistic import Features
from posinfo.networks.training.config import TrainingConfig, train_network
from posinfo.networks.training.loop import Fitted, epoch_generator
from posinfo.stimuli.quadrants import QuadrantConfig, place_tiles
from posinfo.work import Work

PIXELS_AT_ONCE = 2**20  # per forward pass without gradients


@dataclass(frozen=True)
class PlacedTiles:
    """Tiles, each of which stands at both places.

    Attributes:
        tiles: RGB values 0..255.
        config: canvas and border.
        colours: see ``normalise``.
    """

    tiles: UInt8[Tensor, "n 3 56 56"]
    config: QuadrantConfig
    colours: Colours | None

    def __len__(self) -> int:
        """Number of images."""
        return PLACES * len(self.tiles)

    def images(
        self, chosen: Int64[Tensor, " b"], device: torch.device
    ) -> tuple[Float[Tensor, "b 3 s s"], Int64[Tensor, " b"]]:
        """Normalised images, channels last in memory, and their places.

        Args:
            chosen: numbers of images, of which two follow each other for each tile.
            device: computes.
        """
        tiles, places = self.tiles[chosen // PLACES].to(device), (chosen % PLACES).to(device)
        if self.config.kind == "released":  # zeros stand for the mean colour
            shown = place_tiles(normalise(tiles, "imagenet", self.colours), places, self.config)
        else:
            shown = normalise(place_tiles(tiles, places, self.config), "imagenet", self.colours)
        return shown.contiguous(memory_format=torch.channels_last), places

    def batches(self, work: Work) -> Iterator[tuple[Tensor, Tensor]]:
        """All images in order; ``on_progress`` is told how many."""
        size = max(1, PIXELS_AT_ONCE // self.config.side**2)
        for chosen in torch.arange(len(self)).split(size):
            yield self.images(chosen, work.device)
            work.on_progress(len(chosen))


def train_places(
    network: PlaceClassifier,
    splits: Mapping[str, PlacedTiles],
    training: TrainingConfig,
    *,
    seed: int,
    work: Work,
) -> Fitted:
    """Train all weights; the score of an epoch is the accuracy on ``splits["validation"]``.

    Args:
        network: on ``work.device``.
        splits: ``train`` and ``validation``.
        training: the protocol; the incomplete batch at the end of an epoch is left out.
        seed: of the order of images and of dropout.
        work: see ``fit_epochs``.

    Raises:
        FloatingPointError, ValueError: see ``fit_epochs``; fewer images than a batch.
    """
    train, size = splits["train"], training.batch_size
    if len(train) < size:
        raise ValueError(f"{len(train)} train images are fewer than a batch of {size}")

    def batches(epoch: int) -> Iterator[Tensor]:
        order = torch.randperm(len(train), generator=epoch_generator(seed, epoch))
        return iter(order[: len(train) - len(train) % size].split(size))

    def loss_of(batch: Tensor) -> Tensor:
        images, places = train.images(batch, work.device)
        with work.autocast():
            return cross_entropy(network(images), places)[None]

    return train_network(
        network,
        training,
        len(train) // size,
        batches,
        loss_of,
        validate=lambda: place_accuracy(network, splits["validation"], Work(work.device)),
        seed=seed,
        work=work,
    )


def place_accuracy(network: PlaceClassifier, tiles: PlacedTiles, work: Work) -> float:
    """Share of images whose place is told, in [0, 1]."""
    network.eval()
    with torch.inference_mode():
        right = [network(images).argmax(1) == places for images, places in tiles.batches(work)]
    return torch.cat(right).double().mean().item()


def place_features(network: PlaceClassifier, tiles: PlacedTiles, work: Work) -> Features:
    """Pooled features of every image, in float32, and the places."""
    network.eval()
    with torch.inference_mode():
        pairs = [
            (network.features(images).cpu(), places.cpu()) for images, places in tiles.batches(work)
        ]
    features, places = (torch.cat(each).numpy() for each in zip(*pairs, strict=True))
    return np.asarray(features), np.asarray(places)
