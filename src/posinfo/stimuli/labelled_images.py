"""Small labelled images: scikit-learn's handwritten digits, and CIFAR-10 through torchvision."""

from collections.abc import Callable
from pathlib import Path
from urllib.error import URLError

import numpy as np
import torch
from jaxtyping import Int64, UInt8
from pydantic import BaseModel, ConfigDict, Field, field_validator
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import Tensor
from torch.nn.functional import interpolate
from torchvision.datasets import CIFAR10

from posinfo.choices import check, pick

SIDE = 32  # px
SPLITS = ("train", "validation", "test")
DIGITS_TEST_SHARE = 0.22  # of 1,797

Labelled = tuple[UInt8[Tensor, "_ 3 _ _"], Int64[Tensor, " _"]]


class DatasetConfig(BaseModel):
    """Which labelled images to train and to test on.

    Attributes:
        name: a key of ``DATASETS``.
        folder: that holds, or is to hold, the files of CIFAR-10.
        download: whether to fetch CIFAR-10 into ``folder`` if it is not there (170 MB).
        validation: share of the train images that is held out to choose a network by.
        classes: how many classes to keep, the first ones; None: all.
        train_limit: train and validation images at most; None: all.
        test_limit: test images at most; None: all.
        seed: of the choice of train and validation images; test images do not depend on it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    folder: Path
    download: bool
    validation: float = Field(gt=0, lt=1)
    classes: int | None = Field(ge=2)
    train_limit: int | None = Field(ge=1)
    test_limit: int | None = Field(ge=1)
    seed: int = Field(ge=0)

    @field_validator("name")
    @classmethod
    def _known(cls, name: str) -> str:
        return check("dataset.name", name, DATASETS)


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
    load = pick("dataset.name", config.name, DATASETS)
    train_images, test_images = (_first_classes(split, config.classes) for split in load(config))
    pixels, labels = _limited(train_images, config.train_limit, config.seed)
    test = _limited(test_images, config.test_limit, seed=0)
    held_out = round(config.validation * len(pixels))
    train, validation = _split(labels, len(pixels) - held_out, config.seed)
    shown = pixels[train].double() / 255
    splits = ((pixels[train], labels[train]), (pixels[validation], labels[validation]), test)
    tensors = {
        f"{split}.{what}": values
        for split, pair in zip(SPLITS, splits, strict=True)
        for what, values in zip(("pixels", "labels"), pair, strict=True)
    }
    mean, std = shown.mean((0, 2, 3)), shown.std((0, 2, 3), correction=0)
    return {**tensors, "mean": mean.float(), "std": std.float()}


def _first_classes(images: Labelled, classes: int | None) -> Labelled:
    pixels, labels = images
    present = 1 + int(labels.max())
    if classes is None:
        return images
    if classes > present:
        raise ValueError(f"dataset.classes must be at most {present}; got {classes}")
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


def _digits(config: DatasetConfig) -> tuple[Labelled, Labelled]:
    """The 1,797 digits, 8 px and grey levels 0..16, as 32 px RGB; the test images never change."""
    images, labels = load_digits(return_X_y=True)
    grey = torch.from_numpy(images).float().view(-1, 1, 8, 8) * (255 / 16)
    larger = interpolate(grey, (SIDE, SIDE), mode="bilinear", align_corners=False)
    pixels = larger.round().byte().expand(-1, 3, -1, -1).contiguous()
    classes = torch.from_numpy(labels).long()
    train, test = _split(classes, round(len(pixels) * (1 - DIGITS_TEST_SHARE)), seed=0)
    return (pixels[train], classes[train]), (pixels[test], classes[test])


def _cifar10(config: DatasetConfig) -> tuple[Labelled, Labelled]:
    """50,000 train and 10,000 test images (Krizhevsky, 2009)."""
    splits = []
    for train in (True, False):
        try:
            images = CIFAR10(config.folder, train=train, download=config.download)
        except URLError as error:
            raise ConnectionError(
                f"CIFAR-10 could not be downloaded from {CIFAR10.url} ({error.reason}); fetch it "
                f"by hand, unpack it in dataset.folder ({config.folder}) and set "
                "dataset.download: false"
            ) from error
        except RuntimeError as error:
            raise _not_usable(config.folder) from error
        pixels = torch.from_numpy(images.data).permute(0, 3, 1, 2).contiguous()
        splits.append((pixels, torch.tensor(images.targets)))
    return splits[0], splits[1]


def _not_usable(folder: Path) -> Exception:
    batches = folder / CIFAR10.base_folder
    if not batches.is_dir():
        return FileNotFoundError(
            f"CIFAR-10 is not in {folder} (there is no {batches}): set dataset.folder to where "
            "cifar-10-python.tar.gz is unpacked, or dataset.download: true"
        )
    return ValueError(
        f"CIFAR-10 in {batches} is incomplete or damaged (a file's MD5 is not the published one): "
        "unpack cifar-10-python.tar.gz again, or set dataset.download: true"
    )


DATASETS: dict[str, Callable[[DatasetConfig], tuple[Labelled, Labelled]]] = {
    "digits": _digits,
    "cifar10": _cifar10,
}
