import shutil

import numpy as np
import pytest
from PIL import Image

from posinfo.stimuli.cityscapes import (
    CLASSES,
    cityscapes_classes,
    cityscapes_files,
    first_city,
)
from posinfo.stimuli.decoding import DamagedImageError
from posinfo.stimuli.labelled_photographs import files_key, read_labelled

SETTING = "channel_attack.photographs.folder"
CITIES = ("frankfurt", "lindau")
# label id to train id, as cityscapesScripts' helpers/labels.py lists them
TRAIN_IDS = {
    0: 255, 3: 255, 7: 0, 8: 1, 11: 2, 12: 3, 13: 4, 17: 5, 19: 6, 20: 7, 21: 8, 22: 9, 23: 10,
    24: 11, 25: 12, 26: 13, 27: 14, 28: 15, 29: 255, 31: 16, 32: 17, 33: 18, 255: 255,
}  # fmt: skip


def write_cityscapes(folder, size=(8, 16), count=2):
    """A tiny Cityscapes in its own layout: two cities, random pixels, every label id."""
    random = np.random.default_rng(0)
    ids = np.array([*TRAIN_IDS], np.uint8)
    for city in CITIES:
        for number in range(count):
            name = f"{city}_{number:06}_000019"
            files = {
                f"leftImg8bit/val/{city}/{name}_leftImg8bit.png": random.integers(
                    256, size=(*size, 3), dtype=np.uint8
                ),
                f"gtFine/val/{city}/{name}_gtFine_labelIds.png": ids[
                    np.arange(size[0] * size[1]).reshape(size) % len(ids)
                ],
                # its other files, which nobody reads
                f"gtFine/val/{city}/{name}_gtFine_color.png": np.zeros((*size, 4), np.uint8),
                f"gtFine/val/{city}/{name}_gtFine_instanceIds.png": np.zeros(size, np.uint16),
            }
            for path, values in files.items():
                (folder / path).parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(values).save(folder / path)
    return folder


@pytest.fixture
def folder(tmp_path):
    return write_cityscapes(tmp_path / "cityscapes")


def test_classes_are_the_nineteen_that_count():
    assert len(CLASSES) == 19
    assert (CLASSES[0], CLASSES[10], CLASSES[18]) == ("road", "sky", "bicycle")


def test_files_are_found_city_by_city(folder):
    files = cityscapes_files(folder, SETTING)
    assert [pair.image.parent.name for pair in files] == ["frankfurt"] * 2 + ["lindau"] * 2
    assert first_city(files) == [True, True, False, False]
    assert all("labelIds" in pair.labels.name for pair in files)


def test_label_ids_become_train_ids(folder):
    pair = cityscapes_files(folder, SETTING)[0]
    pixels, labels = read_labelled(pair, cityscapes_classes)
    ids = np.asarray(Image.open(pair.labels))
    assert pixels.shape == (3, 8, 16) and labels.shape == (8, 16)
    assert np.array_equal(pixels.transpose(1, 2, 0), np.asarray(Image.open(pair.image)))
    for own, train in TRAIN_IDS.items():
        assert set(labels[ids == own]) == {train}


def test_key_is_of_the_content(folder, tmp_path):
    key = files_key(cityscapes_files(folder, SETTING))
    moved = shutil.copytree(folder, tmp_path / "elsewhere")
    assert files_key(cityscapes_files(moved, SETTING)) == key
    pair = cityscapes_files(moved, SETTING)[1]
    Image.fromarray(np.zeros((8, 16), np.uint8)).save(pair.labels)
    assert files_key(cityscapes_files(moved, SETTING)) != key


def test_key_is_new_where_a_photograph_moves_to_another_city(folder):
    """Its split is that of its city."""
    key = files_key(cityscapes_files(folder, SETTING))
    for part in ("leftImg8bit", "gtFine"):
        for path in (folder / part / "val/frankfurt").glob("frankfurt_000001*"):
            path.rename(folder / part / "val/lindau" / path.name)
    assert files_key(cityscapes_files(folder, SETTING)) != key


def test_key_is_new_where_a_file_is_changed_in_place(folder):
    files = cityscapes_files(folder, SETTING)
    key = files_key(files)
    Image.fromarray(np.zeros((8, 16), np.uint8)).save(files[0].labels)
    assert files_key(files) != key


def test_both_are_resized_and_no_class_is_invented(folder):
    pair = cityscapes_files(folder, SETTING)[0]
    small, labels = read_labelled(pair, cityscapes_classes)
    pixels, resized = read_labelled(pair, cityscapes_classes, (9, 17))
    assert pixels.shape == (3, 9, 17) and resized.shape == (9, 17)
    assert set(np.unique(resized)) <= set(np.unique(labels))
    assert np.array_equal(resized[0, :8], labels[0, :8]) and np.array_equal(
        resized[0, 9:], labels[0, 8:]
    )
    assert abs(pixels.astype(float).mean() - small.mean()) < 10


def test_missing_parts_are_named_with_where_to_get_them(folder):
    with pytest.raises(
        FileNotFoundError, match=r"channel_attack.photographs.folder: .*leftImg8bit_trainv"
    ):
        cityscapes_files(folder / "nowhere", SETTING)
    pair = cityscapes_files(folder, SETTING)[0]
    pair.labels.unlink()
    with pytest.raises(FileNotFoundError, match=f"has no labels: there is no {pair.labels}"):
        cityscapes_files(folder, SETTING)
    shutil.rmtree(folder / "leftImg8bit/val/frankfurt")
    shutil.rmtree(folder / "leftImg8bit/val/lindau")
    with pytest.raises(FileNotFoundError, match="0 photographs .* two cities are needed"):
        cityscapes_files(folder, SETTING)


def test_wrong_labels_are_refused_with_the_file(folder):
    pair = cityscapes_files(folder, SETTING)[0]
    Image.fromarray(np.full((8, 16), 77, np.uint8)).save(pair.labels)
    with pytest.raises(ValueError, match=rf"{pair.labels} has label ids .* not: \[77\]"):
        read_labelled(pair, cityscapes_classes)
    Image.fromarray(np.zeros((8, 12), np.uint8)).save(pair.labels)
    with pytest.raises(ValueError, match="differ in size: 16 x 8 and 12 x 8 px"):
        read_labelled(pair, cityscapes_classes)
    Image.fromarray(np.zeros((8, 16, 3), np.uint8)).save(pair.labels)
    with pytest.raises(DamagedImageError, match="holds no labels but an image of RGB"):
        read_labelled(pair, cityscapes_classes)
    pair.image.write_bytes(pair.image.read_bytes()[:100])
    with pytest.raises(DamagedImageError, match=f"{pair.image} cannot be decoded"):
        read_labelled(pair, cityscapes_classes)
