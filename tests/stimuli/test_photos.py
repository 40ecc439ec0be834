import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from posinfo.stimuli.decoding import WHOLE, DamagedImageError, decode
from posinfo.stimuli.photos import (
    BOX,
    EMBEDDED,
    PhotosConfig,
    decode_images,
    embedded_crops,
    image_files,
    manifest_key,
    photo_manifests,
    whole_images,
)
from posinfo.work import Work

SETTING = "photos.train_dir"


def config(**changes):
    defaults = {"train_dir": None, "test_dir": None, "train_crops": 4, "test_crops": 3, "seed": 0}
    return PhotosConfig(**{**defaults, **changes})


def test_embedded_train_and_test_photographs_differ():
    train, test = photo_manifests(config(train_crops=30, test_crops=30))
    assert set(train.photograph) == set(EMBEDDED["train"])
    assert set(test.photograph) == set(EMBEDDED["test"])
    assert not set(train.sha256) & set(test.sha256)


def test_both_views_of_a_photograph_are_used():
    files = {file for paths in EMBEDDED["train"].values() for file in paths}
    crops = embedded_crops("train", 2 * len(EMBEDDED["train"]), 0)
    assert crops.file.nunique() == len(files)


def test_crops_are_squares_inside_the_photograph():
    crops = embedded_crops("test", 60, 0)
    assert (crops.right - crops.left == crops.bottom - crops.top).all()
    assert (crops[["left", "top"]].to_numpy() >= 0).all()
    assert (crops.bottom <= 427).all() and (crops.right <= 640).all()
    assert set(crops.symmetry) == set(range(8))
    assert crops.equals(embedded_crops("test", 60, 0))
    assert not crops[BOX].equals(embedded_crops("test", 60, 1)[BOX])


def test_sides_and_places_of_crops_are_drawn_each_by_itself():
    crops = embedded_crops("train", 10 * len(EMBEDDED["train"]), 0)
    crops = crops[crops.photograph == "astronaut"]  # 512 x 512
    side = crops.right - crops.left
    drawn = {"side": (side / 512 - 0.4) / 0.6, "left": crops.left / (512 - side)}
    drawn["top"] = crops.top / (512 - side)
    for values in drawn.values():
        assert values.min() < 0.35 and values.max() > 0.65
        assert values.between(-0.01, 1.01).all()
    assert not np.allclose(drawn["left"], drawn["top"], atol=0.05)
    assert not np.allclose(drawn["left"], drawn["side"], atol=0.05)


def test_folder_is_searched_recursively_and_other_files_are_passed_over(save_photo):
    folder = save_photo("a.jpg").parent
    save_photo("below/B.JPEG", size=(30, 20))
    (folder / "notes.txt").write_text("not an image")
    (folder / "._a.jpg").write_text("metadata of another system")
    save_photo(".thumbnails/a.jpg")
    (folder / "a folder.png").mkdir()
    manifest = whole_images(folder, SETTING)
    assert manifest.photograph.tolist() == ["a.jpg", "below/B.JPEG"]
    assert (manifest[[*BOX, "symmetry"]] == 0).all(axis=None)


def test_decoded_images_are_those_of_the_manifest(save_photo, work):
    for index in range(5):
        save_photo(f"{index}.png")
    manifest = whole_images(save_photo("5.png").parent, SETTING)
    done = []
    images = decode_images(manifest, 12, replace(work, on_progress=done.append))
    assert sum(done) == len(images) == 6
    for file, pixels in zip(manifest.file, images, strict=True):
        np.testing.assert_array_equal(pixels, decode(Path(file), WHOLE, 0, 12))


def test_images_are_the_same_on_disk_and_in_memory(save_photo, work):
    manifest = whole_images(save_photo("a.png").parent, SETTING)
    stored = decode_images(manifest, 12, work)
    assert isinstance(stored, np.memmap) and (work.folder / "pixels.npy").exists()
    np.testing.assert_array_equal(decode_images(manifest, 12, Work()), stored)


def test_key_follows_content_boxes_and_names_but_not_the_folder(save_photo, tmp_path):
    file = save_photo("a.png")
    manifest = whole_images(file.parent, SETTING)
    key = manifest_key(manifest)
    assert manifest_key(manifest.assign(right=7)) != key
    assert manifest_key(manifest.assign(photograph="b")) != key
    assert manifest_key(manifest.assign(symmetry=1)) != key
    moved = file.parent.rename(tmp_path / "moved")
    assert manifest_key(whole_images(moved, SETTING)) == key
    save_photo("a.png").rename(moved / "a.png")
    assert manifest_key(whole_images(moved, SETTING)) != key


def test_damaged_images_are_all_named(save_photo, work):
    folder = save_photo("good.png").parent
    (folder / "bad1.jpg").write_bytes(b"nothing")
    (folder / "bad2.jpg").write_bytes(b"")
    with pytest.raises(
        DamagedImageError, match="^2 damaged images; (?s:.*)bad1.jpg(?s:.*)bad2.jpg"
    ):
        decode_images(whole_images(folder, SETTING), 12, work)


def test_truncated_image_is_named(save_photo, work):
    file = save_photo("big.jpg", size=(300, 300))
    file.write_bytes(file.read_bytes()[:4000])
    with pytest.raises(DamagedImageError, match=r"^1 damaged images; (?s:.*)big\.jpg"):
        decode_images(whole_images(file.parent, SETTING), 12, work)


def test_test_images_must_not_be_train_images(save_photo):
    folder = save_photo("a.png").parent
    with pytest.raises(ValueError, match=r"^1 test images are also train images, the first is .*a"):
        photo_manifests(config(train_dir=folder, test_dir=folder))


def test_renamed_copies_of_train_images_are_no_test_images(save_photo):
    train = save_photo("train/a.png")
    test = save_photo("test/b.png").parent
    photo_manifests(config(train_dir=train.parent, test_dir=test))
    (test / "below").mkdir()
    shutil.copy(train, test / "below" / "renamed.PNG")
    with pytest.raises(ValueError) as raised:
        photo_manifests(config(train_dir=train.parent, test_dir=test))
    assert str(raised.value) == (
        f"1 test images are also train images, the first is {test / 'below' / 'renamed.PNG'}: "
        "photos.train_dir and photos.test_dir must not share images"
    )


def test_missing_and_empty_folders_are_refused_when_they_are_read(tmp_path):
    missing, empty = config(train_dir=tmp_path / "nowhere"), config(test_dir=tmp_path)
    with pytest.raises(
        FileNotFoundError, match=r"^photos\.train_dir: there is no folder .*nowhere; docs/papers/"
    ):
        photo_manifests(missing)
    with pytest.raises(
        ValueError, match=r"^photos\.test_dir: no image in .* or below it; images end in"
    ):
        photo_manifests(empty)


def test_image_files_are_sorted(save_photo):
    folder = save_photo("b.png").parent
    save_photo("a.png")
    assert [file.name for file in image_files(folder)] == ["a.png", "b.png"]
