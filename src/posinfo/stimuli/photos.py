"""Photographs: the ones that installed packages ship, or any folder of the user's.

A *manifest* is a table with one row per image to be shown to a network: ``photograph`` (its
name), ``file``, the box to cut out of it (``left, top, right, bottom`` in pixels; all 0: the
whole image), the ``symmetry`` of the square to apply to it (0: none) and the file's ``sha256``.
Its images are decoded once; see ``decode_images``.
"""

import hashlib
import importlib.util
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import torch
from jaxtyping import UInt8
from PIL import Image
from pydantic import Field

from posinfo.choices import Section, Seed
from posinfo.stimuli.decoding import SYMMETRIES, WHOLE, DamagedImageError, decode
from posinfo.work import Work

IMAGE_SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp", ".gif"}
DAMAGED_LISTED = 10
BOX = ["left", "top", "right", "bottom"]

# Files inside the wheels of scikit-image, scikit-learn and matplotlib, by the name of what they
# show: the two views of the motorcycle are one photograph.
EMBEDDED = {
    "train": {
        "astronaut": ["skimage/data/astronaut.png"],
        "brick": ["skimage/data/brick.png"],
        "chelsea": ["skimage/data/chelsea.png"],
        "grace_hopper": ["matplotlib/mpl-data/sample_data/grace_hopper.jpg"],
        "grass": ["skimage/data/grass.png"],
        "gravel": ["skimage/data/gravel.png"],
        "motorcycle": ["skimage/data/motorcycle_left.png", "skimage/data/motorcycle_right.png"],
    },
    "test": {
        "china": ["sklearn/datasets/images/china.jpg"],
        "coffee": ["skimage/data/coffee.png"],
        "flower": ["sklearn/datasets/images/flower.jpg"],
        "rocket": ["skimage/data/rocket.jpg"],
    },
}
CROP_SIDE = (0.4, 1.0)  # of the photograph's shorter side


class PhotosConfig(Section):
    """Which photographs to train and to test on.

    Attributes:
        train_dir: a folder of images, searched recursively; None: the embedded photographs.
        test_dir: the same for the test images.
        train_crops: crops cut from the embedded train photographs.
        test_crops: crops cut from the embedded test photographs.
        seed: of the places and scales of the crops.
    """

    train_dir: Path | None
    test_dir: Path | None
    train_crops: int = Field(ge=1)
    test_crops: int = Field(ge=1)
    seed: Seed


def image_files(folder: Path) -> list[Path]:
    """All images in a folder and below it, sorted; hidden and other files are passed over."""
    return sorted(
        file
        for file in Path(folder).rglob("*")
        if file.suffix.lower() in IMAGE_SUFFIXES
        and file.is_file()
        and not any(part.startswith(".") for part in file.relative_to(folder).parts)
    )


def photo_manifests(config: PhotosConfig) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The manifests of the train and the test images.

    Raises:
        FileNotFoundError: there is no such folder.
        ValueError: a folder without images, or a train image that is also a test image.
    """
    train, test = (
        embedded_crops(split, crops, config.seed)
        if folder is None
        else whole_images(folder, f"photos.{split}_dir")
        for split, folder, crops in (
            ("train", config.train_dir, config.train_crops),
            ("test", config.test_dir, config.test_crops),
        )
    )
    shared = sorted(set(test.file[test.sha256.isin(train.sha256)]))
    if shared:
        raise ValueError(
            f"{len(shared)} test images are also train images, the first is {shared[0]}: "
            "photos.train_dir and photos.test_dir must not share images"
        )
    return train, test


def whole_images(folder: Path, setting: str) -> pd.DataFrame:
    """The manifest of a user's folder: every image once and whole.

    Args:
        folder: searched recursively.
        setting: that names the folder, for messages.

    Raises:
        FileNotFoundError: there is no such folder.
        ValueError: there is no image in it.
    """
    if not folder.is_dir():
        raise FileNotFoundError(
            f"{setting}: there is no folder {folder}; docs/papers/posenet.md says where to get "
            "the paper's data, and null stands for the embedded photographs"
        )
    files = image_files(folder)
    if not files:
        raise ValueError(
            f"{setting}: no image in {folder} or below it; "
            f"images end in {', '.join(sorted(IMAGE_SUFFIXES))}"
        )
    return pd.DataFrame(
        {
            "photograph": [file.relative_to(folder).as_posix() for file in files],
            "file": [str(file.resolve()) for file in files],
            **dict(zip(BOX, WHOLE, strict=True)),
            "symmetry": 0,
            "sha256": [_sha256(file) for file in files],
        }
    )


def embedded_crops(split: str, count: int, seed: int) -> pd.DataFrame:
    """The manifest of random square crops of the embedded photographs, evenly over them.

    Each crop is turned and mirrored at random: in a dozen photographs the sky is always up, and a
    readout would find the top edge by its colour.

    Args:
        split: ``train`` or ``test``.
        count: number of crops.
        seed: of their places and scales.
    """
    generator = torch.Generator().manual_seed(seed)
    files = [
        (photograph, _packaged(path))
        for turn in range(2)
        for photograph, paths in EMBEDDED[split].items()
        for path in [paths[turn % len(paths)]]
    ]
    sizes = {file: _size(file) for _, file in files}
    digests = {file: _sha256(file) for _, file in files}
    rows = []
    for index in range(count):
        photograph, file = files[index % len(files)]
        box = _random_square(sizes[file], generator)
        symmetry = int(torch.randint(SYMMETRIES, (), generator=generator))
        rows.append((photograph, str(file), *box, symmetry, digests[file]))
    columns = ["photograph", "file", *BOX, "symmetry", "sha256"]
    return pd.DataFrame(rows, columns=columns)


def embedded_photograph(name: str) -> Image.Image:
    """An embedded photograph in RGB, whole; the first view where there are several.

    Raises:
        KeyError: there is none of this name.
    """
    files = {**EMBEDDED["train"], **EMBEDDED["test"]}[name]
    return Image.open(_packaged(files[0])).convert("RGB")


def manifest_key(manifest: pd.DataFrame) -> str:
    """Changes whenever a file, a box or a name of the manifest does, and not with the folder."""
    identity = manifest.drop(columns="file").to_csv(index=False)
    return hashlib.sha256(identity.encode()).hexdigest()[:16]


def decode_images(manifest: pd.DataFrame, size: int, work: Work) -> UInt8[np.ndarray, "n 3 s s"]:
    """The images of a manifest, RGB values 0..255.

    Args:
        manifest: see the module's docstring.
        size: side in pixels to which each box is resized.
        work: holds the array ``pixels`` and is told of each decoded image.

    Raises:
        DamagedImageError: names the files that could not be decoded.
    """

    def batches() -> Iterator[np.ndarray]:
        jobs = (
            joblib.delayed(_try)(
                decode, Path(row["file"]), tuple(row[edge] for edge in BOX), row["symmetry"], size
            )
            for row in manifest.to_dict("records")
        )
        damaged = []
        for result in _threads(jobs):
            work.on_progress(1)
            if isinstance(result, DamagedImageError):
                damaged.append(result)
            elif not damaged:
                yield result[None]
        _refuse(damaged)

    return work.array("pixels", (len(manifest), 3, size, size), np.uint8, batches())


def _random_square(size: tuple[int, int], generator: torch.Generator) -> tuple[int, int, int, int]:
    scale, across, down = torch.rand(3, generator=generator).tolist()
    low, high = CROP_SIDE
    side = round(min(size) * (low + (high - low) * scale))
    left, top = round(across * (size[0] - side)), round(down * (size[1] - side))
    return left, top, left + side, top + side


def _packaged(path: str) -> Path:
    package, _, inside = path.partition("/")
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise FileNotFoundError(f"the embedded photographs need {package}, which is not installed")
    return Path(spec.origin).parent / inside


def _size(file: Path) -> tuple[int, int]:
    with Image.open(file) as image:
        return image.size


def _sha256(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _try(function: Callable[..., Any], file: Path, *arguments: object) -> Any:
    try:
        return function(file, *arguments)
    except DamagedImageError as error:
        return error


def _threads(jobs: Iterable) -> Iterator[Any]:
    results = joblib.Parallel(n_jobs=-1, prefer="threads", return_as="generator")(jobs)
    assert isinstance(results, Iterator)
    return results


def _refuse(damaged: list[DamagedImageError]) -> None:
    if damaged:
        listed = "\n".join(f"  {error}" for error in damaged[:DAMAGED_LISTED])
        raise DamagedImageError(
            f"{len(damaged)} damaged images; mend or remove them (the first are listed):\n{listed}"
        )
