"""Photographs that are the same though their files differ: renamed, re-encoded or resized."""

from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

import joblib
import numpy as np
from jaxtyping import Float32
from skimage.color import rgb2gray

from posinfo.stimuli.decoding import WHOLE, DamagedImageError, decode

SIDE = 64  # px of the thumbnails that are compared, fine enough to tell two skies apart
AT_ONCE = 1024  # photographs whose likeness to all others is in memory
SAME = 0.985  # their correlation: JPEG at quality 10 leaves .991, other embedded photographs .72


def require_distinct(photographs: Iterable[str], others: Iterable[str]) -> None:
    """Refuse photographs that show what one of another set shows.

    Args:
        photographs: paths, which may repeat.
        others: the same.

    Raises:
        ValueError: two thumbnails of ``SIDE`` px correlate by more than ``SAME``; names them.
    """
    files = sorted(set(photographs)), sorted(set(others))
    these, those = map(_thumbnails, files)
    likest = [
        (part @ those.T).max(1) for part in np.split(these, range(AT_ONCE, len(these), AT_ONCE))
    ]
    copies = np.flatnonzero(np.concatenate(likest) > SAME)
    if len(copies):
        copy, original = files[0][copies[0]], files[1][int((those @ these[copies[0]]).argmax())]
        raise ValueError(
            f"{len(copies)} photographs show what another one shows, the first is {copy}, "
            f"like {original}: photos.train_dir and photos.test_dir must not share images"
        )


def _thumbnails(files: list[str]) -> Float32[np.ndarray, "n p"]:
    jobs = (joblib.delayed(_thumbnail)(Path(file), Path(file).stat().st_mtime_ns) for file in files)
    threads = joblib.Parallel(n_jobs=-1, prefer="threads")
    return np.stack(threads(jobs))  # type: ignore[arg-type]


@lru_cache(maxsize=100_000)
def _thumbnail(file: Path, modified: int) -> Float32[np.ndarray, " p"]:
    """Of mean 0 and norm 1; 0 where the photograph has one colour, or cannot be decoded."""
    try:
        grey = rgb2gray(decode(file, WHOLE, 0, SIDE), channel_axis=0)
    except DamagedImageError:  # all such files are named together when the images are made
        return np.zeros(SIDE * SIDE, np.float32)
    grey = (grey - grey.mean()).ravel()
    return (grey / max(float(np.linalg.norm(grey)), 1e-9)).astype(np.float32)
