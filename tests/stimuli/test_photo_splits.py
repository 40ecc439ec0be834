import pytest

from posinfo.stimuli.photo_splits import three_splits
from posinfo.stimuli.photos import PhotosConfig


def config(**changes):
    settings = {"train_dir": None, "test_dir": None, "train_crops": 28, "test_crops": 8, "seed": 0}
    return PhotosConfig(**{**settings, **changes})


def test_no_photograph_is_in_two_splits():
    splits = three_splits(config())
    names = {split: set(manifest.photograph) for split, manifest in splits.items()}
    assert names["validation"] == {"gravel", "motorcycle"} and len(names["train"]) == 5
    assert len(names["train"] | names["validation"] | names["test"]) == 11
    assert {split: len(manifest) for split, manifest in splits.items()} == {
        "train": 20, "validation": 8, "test": 8,
    }  # fmt: skip


def test_too_few_photographs_are_refused(save_photo):
    folder = save_photo("train/a.jpg").parent
    test = save_photo("test/b.jpg").parent
    with pytest.raises(ValueError, match="1 train photograph cannot be split into train and"):
        three_splits(config(train_dir=folder, test_dir=test))
