"""Photographs for a network that was trained on other ones: all of them, and upright."""

import pandas as pd

from posinfo.stimuli.photos import EMBEDDED, PhotosConfig, embedded_crops, whole_images


def upright_photographs(config: PhotosConfig, crops: int) -> pd.DataFrame:
    """The manifest of what a network is shown that was trained on other photographs.

    Args:
        config: its ``test_dir``, or all embedded photographs where that is None.
        crops: random square crops of each embedded photograph; they stand upright.

    Raises:
        FileNotFoundError, ValueError: see ``whole_images``.
    """
    if config.test_dir is not None:
        return whole_images(config.test_dir, "photos.test_dir")
    splits = [
        embedded_crops(split, crops * len(photographs), config.seed)
        for split, photographs in EMBEDDED.items()
    ]
    return pd.concat(splits, ignore_index=True).assign(symmetry=0)
