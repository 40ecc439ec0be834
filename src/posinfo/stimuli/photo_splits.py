"""Photographs in three splits that have none in common."""

import pandas as pd

from posinfo.stimuli.photos import PhotosConfig, photo_manifests

VALIDATION = 0.25  # of the train photographs, at least one


def three_splits(config: PhotosConfig) -> dict[str, pd.DataFrame]:
    """The manifests of train, validation and test images.

    The last quarter of the train photographs, in the order of their names, are validation ones.

    Args:
        config: the photographs; ``train_crops`` counts train and validation crops together.

    Raises:
        FileNotFoundError, ValueError: see ``photo_manifests``; fewer than two train photographs.
    """
    train, test = photo_manifests(config)
    names = sorted(set(train.photograph))
    if len(names) < 2:
        raise ValueError(
            f"photos: {len(names)} train photograph cannot be split into train and validation "
            "photographs: give at least two"
        )
    held_out = train.photograph.isin(names[-max(1, round(VALIDATION * len(names))) :])
    splits = {"train": train[~held_out], "validation": train[held_out], "test": test}
    return {split: manifest.reset_index(drop=True) for split, manifest in splits.items()}
