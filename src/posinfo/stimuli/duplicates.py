"""Photographs that are the same though their files differ: renamed, re-encoded or resized."""

from collections.abc import Iterable
from pathlib import Path

import joblib
import numpy as np
from jaxtyping import Float
from skimage.color import rgb2gray

from posinfo.stimuli.decoding import WHOLE, DamagedImageError, decode

SIDE = 16  # px of the thumbnails that are compared
SAME = 0.99  # their correlation: JPEG at quality 50 leaves .994, the embedded photographs reach .53


def require_distinct(photographs: Iterable[str], others: Iterable[str]) -> None:
    """Refuse photographs that show what one of another set shows.

    Args:
        photographs: paths, which may repeat.
        others: the same.

    Raises:
        ValueError: two thumbnails of ``SIDE`` px correlate by more than ``SAME``; names them.
    """
    files = sorted(set(photographs)), sorted(set(others))
    these, those = (np.stack([thumb.ravel() for thumb in _thumbnails(each)]) for each in files)
    same = np.argwhere(these @ those.T > SAME)
    if len(same):
        copy, original = files[0][same[0][0]], files[1][same[0][1]]
        raise ValueError(
            f"{len(set(same[:, 0]))} photographs show what another one shows, the first is {copy}, "
            f"like {original}: photos.train_dir and photos.test_dir must not share images"
        )


def _thumbnails(files: list[str]) -> list[Float[np.ndarray, "s s"]]:
    jobs = (joblib.delayed(_thumbnail)(Path(file)) for file in files)
    return joblib.Parallel(n_jobs=-1, prefer="threads")(jobs)  # type: ignore[return-value]


def _thumbnail(file: Path) -> Float[np.ndarray, "s s"]:
    """Of mean 0 and norm 1; 0 where the photograph has one colour, or cannot be decoded."""
    try:
        grey = rgb2gray(decode(file, WHOLE, 0, SIDE), channel_axis=0)
    except DamagedImageError:  # all such files are named together when the images are made
        return np.zeros((SIDE, SIDE))
    grey = grey - grey.mean()
    return grey / max(float(np.linalg.norm(grey)), 1e-9)
