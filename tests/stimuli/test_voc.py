import numpy as np
import pytest
from PIL import Image

from posinfo.stimuli.labelled_photographs import read_labelled
from posinfo.stimuli.voc import CLASSES, every_other, voc_classes, voc_files

SETTING = "channel_attack.photographs.folder"
SIZES = {"a": (24, 32), "b": (32, 24), "c": (24, 32), "d": (24, 32)}


def write_voc(folder, sizes=SIZES):
    """A tiny VOC2012 in its own layout: photographs of two sizes, labels with VOC's palette."""
    random = np.random.default_rng(0)
    for name in ("ImageSets/Segmentation", "JPEGImages", "SegmentationClass"):
        (folder / name).mkdir(parents=True)
    (folder / "ImageSets/Segmentation/val.txt").write_text("\n".join(sizes) + "\n")
    for name, size in sizes.items():
        pixels = random.integers(256, size=(*size, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"JPEGImages/{name}.jpg")
        labels = (np.arange(size[0] * size[1]).reshape(size) % 22).astype(np.uint8)
        labels[labels == 21] = 255
        image = Image.fromarray(labels).convert("P")
        image.putpalette(random.integers(256, size=768, dtype=np.uint8).tobytes())
        image.save(folder / f"SegmentationClass/{name}.png")
    return folder


@pytest.fixture
def folder(tmp_path):
    return write_voc(tmp_path / "VOC2012")


def test_classes_are_the_background_and_twenty():
    assert len(CLASSES) == 21
    assert (CLASSES[0], CLASSES[1], CLASSES[15], CLASSES[20]) == (
        "__background__", "aeroplane", "person", "tvmonitor",
    )  # fmt: skip


def test_photographs_of_the_commonest_size_are_found(folder):
    files = voc_files(folder, SETTING)
    assert [pair.image.stem for pair in files] == [pair.labels.stem for pair in files]
    assert [pair.image.stem for pair in files] == ["a", "c", "d"]
    assert every_other(files) == [True, False, True]


def test_labels_are_indices_of_the_palette(folder):
    pair = voc_files(folder, SETTING)[0]
    pixels, labels = read_labelled(pair, voc_classes)
    assert pixels.shape == (3, 24, 32)
    assert labels[0, :3].tolist() == [0, 1, 2] and labels[0, 21] == 255


def test_missing_parts_are_named(folder):
    with pytest.raises(FileNotFoundError, match=r"folder: there is no file .*unpack VOCtrainval"):
        voc_files(folder / "nowhere", SETTING)
    (folder / "SegmentationClass/b.png").unlink()
    with pytest.raises(FileNotFoundError, match=r"val.txt lists it, and there is no file .*b.png"):
        voc_files(folder, SETTING)
    write_voc(folder.parent / "two", {"a": (8, 9), "b": (9, 8)})
    with pytest.raises(FileNotFoundError, match="lists 1 photographs of one size"):
        voc_files(folder.parent / "two", SETTING)


def test_labels_of_other_data_sets_are_refused(folder):
    pair = voc_files(folder, SETTING)[0]
    Image.fromarray(np.full((24, 32), 21, np.uint8)).convert("P").save(pair.labels)
    with pytest.raises(ValueError, match=r"has labels that VOC has not: \[21\]"):
        read_labelled(pair, voc_classes)
    Image.fromarray(np.zeros((24, 32, 3), np.uint8)).save(pair.labels)
    with pytest.raises(ValueError, match="holds no labels but an image of RGB"):
        read_labelled(pair, voc_classes)
