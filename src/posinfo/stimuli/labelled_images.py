"""Small labelled images: handwritten digits, patches of photographs, and CIFAR."""

from collections.abc import Callable
from http.client import HTTPException
from pathlib import Path
from typing import Annotated, NamedTuple
from urllib.error import URLError

import numpy as np
import torch
from jaxtyping import Float, Int64, UInt8
from pydantic import Field, model_validator
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import Tensor
from torch.nn.functional import interpolate
from torchvision.datasets import CIFAR10, CIFAR100

from posinfo.choices import Section, Seed, one_of, pick
from posinfo.stimuli.textures import TEXTURES, texture_patches

SIDE = 32  # px
SPLITS = ("train", "validation", "test")
DIGITS_TEST_SHARE = 0.22  # of 1,797
TEXTURES_TRAIN, TEXTURES_TEST = 480, 30  # of each photograph

Labelled = tuple[UInt8[Tensor, "_ 3 _ _"], Int64[Tensor, " _"]]


class DatasetConfig(Section):
    """Which labelled images to train and to test on.

    Attributes:
        name: a key of ``DATASETS``.
        folder: the folder of CIFAR's files, or the one to download them to.
        download: whether to fetch CIFAR into ``folder`` if it is not there (170 MB).
        validation: share of the train images that is held out to choose a network by.
        classes: number of classes to keep, the first ones; None: all.
        train_limit: train and validation images at most; None: all.
        test_limit: test images at most; None: all.
        seed: seed of the choice of train and validation images. Test images do not depend on it;
            of ``textures``, only the choice by ``train_limit`` does.
    """

    name: Annotated[str, one_of("dataset.name", lambda: DATASETS)]
    folder: Path = Field(exclude=True)
    download: bool = Field(exclude=True)
    validation: float = Field(gt=0, lt=1)
    classes: int | None = Field(ge=2)
    train_limit: int | None = Field(ge=1)
    test_limit: int | None = Field(ge=1)
    seed: Seed

    @model_validator(mode="after")
    def _has_so_many_classes(self) -> "DatasetConfig":
        present = DATASETS[self.name].classes
        if self.class_count > present:
            raise ValueError(f"dataset.classes must be at most {present}; got {self.classes}")
        return self

    @property
    def class_count(self) -> int:
        """Number of classes that are kept."""
        return self.classes or DATASETS[self.name].classes


class Pools(NamedTuple):
    """The images of a data set; without validation images, some train images are held out."""

    train: Labelled
    test: Labelled
    validation: Labelled | None = None


class Dataset(NamedTuple):
    """The function that loads a data set, and the number of its classes."""

    load: Callable[[DatasetConfig], Pools]
    classes: int


def load_labelled_images(config: DatasetConfig) -> dict[str, Tensor]:
    """Images and labels of three splits, and the colours to normalise them by.

    Returns:
        ``train.pixels`` (n, 3, 32, 32) uint8 and ``train.labels`` (n,) int64, the same of
        ``validation`` and ``test``; ``mean`` and ``std`` (3,) of the train images in [0, 1].

    Raises:
        ConnectionError: a download was asked for and failed.
        FileNotFoundError: CIFAR-10 is not in its folder.
        ValueError: one of its files is damaged, or there are fewer classes or images than
            asked for.
    """
    pools = pick("dataset.name", config.name, DATASETS).load(config)
    train, validation = _train_and_validation(pools, config)
    test = _limited(_first_classes(pools.test, config.class_count), config.test_limit, seed=0)
    tensors = {
        f"{split}.{part}": values
        for split, pair in zip(SPLITS, (train, validation, test), strict=True)
        for part, values in zip(("pixels", "labels"), pair, strict=True)
    }
    mean, std = mean_colours(train[0])
    return {**tensors, "mean": mean, "std": std}


def mean_colours(
    pixels: UInt8[Tensor, "n 3 h w"],
) -> tuple[Float[Tensor, "3"], Float[Tensor, "3"]]:
    """Mean and standard deviation of each channel in [0, 1], from how often each value occurs."""
    values = torch.arange(256).double() / 255
    shares = torch.stack(
        [pixels[:, channel].flatten().bincount(minlength=256) for channel in range(3)]
    )
    shares = shares / shares.sum(1, keepdim=True, dtype=torch.float64)
    mean = shares @ values
    return mean.float(), (shares @ values.square() - mean.square()).sqrt().float()


def _train_and_validation(pools: Pools, config: DatasetConfig) -> tuple[Labelled, Labelled]:
    train = _first_classes(pools.train, config.class_count)
    if pools.validation is not None:
        held_out = _first_classes(pools.validation, config.class_count)
        limit = config.train_limit or len(train[1]) + len(held_out[1])
        count = round(config.validation * limit)
        return (
            _limited(train, limit - count, config.seed),
            _limited(held_out, count, config.seed),
        )
    pixels, labels = _limited(train, config.train_limit, config.seed)
    held_out = round(config.validation * len(pixels))
    kept, rest = _split(labels, len(pixels) - held_out, config.seed)
    return (pixels[kept], labels[kept]), (pixels[rest], labels[rest])


def _first_classes(images: Labelled, classes: int) -> Labelled:
    pixels, labels = images
    return pixels[labels < classes], labels[labels < classes]


def _limited(images: Labelled, limit: int | None, seed: int) -> Labelled:
    pixels, labels = images
    if limit is None or limit >= len(labels):
        return images
    kept, _ = _split(labels, limit, seed)
    return pixels[kept], labels[kept]


def _split(
    labels: Int64[Tensor, " n"], count: int, seed: int
) -> tuple[Int64[Tensor, " a"], Int64[Tensor, " b"]]:
    """Indices of ``count`` images and of the others, each class in its share."""
    try:
        first, second = train_test_split(
            np.arange(len(labels)), train_size=count, stratify=labels.numpy(), random_state=seed
        )
    except ValueError as error:
        raise ValueError(
            f"dataset: {len(labels)} images cannot be split into {count} and "
            f"{len(labels) - count} with every class in both: {error}"
        ) from error
    return torch.from_numpy(np.sort(first)), torch.from_numpy(np.sort(second))


def _digits(config: DatasetConfig) -> Pools:
    """The 1,797 digits, 8 px and grey levels 0..16, as 32 px RGB; the test images never change."""
    images, labels = load_digits(return_X_y=True)
    grey = torch.from_numpy(images).float().view(-1, 1, 8, 8) * (255 / 16)
    larger = interpolate(grey, (SIDE, SIDE), mode="bilinear", align_corners=False)
    pixels = larger.round().byte().expand(-1, 3, -1, -1).contiguous()
    classes = torch.from_numpy(labels).long()
    train, test = _split(classes, round(len(pixels) * (1 - DIGITS_TEST_SHARE)), seed=0)
    return Pools((pixels[train], classes[train]), (pixels[test], classes[test]))


def _cifar10(config: DatasetConfig) -> Pools:
    """50,000 train and 10,000 test images of ten classes (Krizhevsky, 2009)."""
    return _cifar(config, CIFAR10, "CIFAR-10")


def _cifar(config: DatasetConfig, source: type[CIFAR10], name: str) -> Pools:
    splits = []
    for train in (True, False):
        try:
            images = source(config.folder, train=train, download=config.download)
        except (URLError, ConnectionError, TimeoutError, HTTPException) as error:
            raise ConnectionError(
                f"{name} could not be downloaded from {source.url} ({error}); fetch it by hand, "
                f"unpack it in dataset.folder ({config.folder}) and set dataset.download: false"
            ) from error
        except RuntimeError as error:
            raise _not_usable(config.folder, source, name) from error
        pixels = torch.from_numpy(images.data).permute(0, 3, 1, 2).contiguous()
        splits.append((pixels, torch.tensor(images.targets)))
    return Pools(splits[0], splits[1])


def _not_usable(folder: Path, source: type[CIFAR10], name: str) -> Exception:
    batches = folder / source.base_folder
    if not batches.is_dir():
        return FileNotFoundError(
            f"{name} is not in {folder} (there is no {batches}): set dataset.folder to where "
            f"{source.filename} is unpacked, or dataset.download: true"
        )
    return ValueError(
        f"{name} in {batches} is incomplete or damaged (a file's MD5 is not the published one): "
        f"unpack {source.filename} again, or set dataset.download: true"
    )


def _textures(config: DatasetConfig) -> Pools:
    """510 patches of each of ten photographs; each split has a strip of its own."""
    held_out = round(config.validation * TEXTURES_TRAIN)
    if not 0 < held_out < TEXTURES_TRAIN:
        raise ValueError(
            f"dataset.validation must leave at least one of {TEXTURES_TRAIN} patches of each "
            f"photograph in both splits; got {config.validation}"
        )
    counts = {
        "train": TEXTURES_TRAIN - held_out, "validation": held_out, "test": TEXTURES_TEST,
    }  # fmt: skip
    return Pools(**{split: texture_patches(split, count, SIDE) for split, count in counts.items()})


def _cifar100(config: DatasetConfig) -> Pools:
    """50,000 train and 10,000 test images of 100 classes (Krizhevsky, 2009)."""
    return _cifar(config, CIFAR100, "CIFAR-100")


DATASETS: dict[str, Dataset] = {
    "digits": Dataset(_digits, 10),
    "textures": Dataset(_textures, len(TEXTURES)),
    "cifar10": Dataset(_cifar10, 10),
    "cifar100": Dataset(_cifar100, 100),
}
