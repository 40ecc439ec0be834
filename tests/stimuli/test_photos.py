from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from posinfo.stimuli.decoding import WHOLE, DamagedImageError, decode
from posinfo.stimuli.photos import (
    BOX,
    EMBEDDED,
    PhotosConfig,
    decode_images,
    embedded_crops,
    image_files,
    photo_manifests,
    whole_images,
)


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


def test_folder_is_searched_recursively_and_other_files_are_passed_over(save_photo):
    folder = save_photo("a.jpg").parent
    save_photo("below/B.JPEG", size=(30, 20))
    (folder / "notes.txt").write_text("not an image")
    (folder / "._a.jpg").write_text("metadata of another system")
    save_photo(".thumbnails/a.jpg")
    (folder / "a folder.png").mkdir()
    manifest = whole_images(folder)
    assert manifest.photograph.tolist() == ["a.jpg", "below/B.JPEG"]
    assert (manifest[[*BOX, "symmetry"]] == 0).all(axis=None)


def test_decoded_images_are_those_of_the_manifest(save_photo, cache):
    for index in range(5):
        save_photo(f"{index}.png")
    manifest = whole_images(save_photo("5.png").parent)
    done = []
    images = decode_images(manifest, 12, cache, done.append)
    assert sum(done) == len(images) == 6
    for file, pixels in zip(manifest.file, images.pixels, strict=True):
        np.testing.assert_array_equal(pixels, decode(Path(file), WHOLE, 0, 12))


def test_images_are_decoded_once(save_photo, cache, monkeypatch):
    manifest = whole_images(save_photo("a.png").parent)
    first = decode_images(manifest, 12, cache)
    monkeypatch.setattr("posinfo.stimuli.photos.decode", lambda *_: pytest.fail("decoded again"))
    assert decode_images(manifest, 12, cache).key == first.key


def test_key_follows_content_and_size(save_photo, cache):
    file = save_photo("a.png")
    key = decode_images(whole_images(file.parent), 12, cache).key
    assert decode_images(whole_images(file.parent), 13, cache).key != key
    save_photo("a.png")
    assert decode_images(whole_images(file.parent), 12, cache).key != key


def test_damaged_images_are_all_named(save_photo, cache):
    folder = save_photo("good.png").parent
    (folder / "bad1.jpg").write_bytes(b"nothing")
    (folder / "bad2.jpg").write_bytes(b"")
    with pytest.raises(
        DamagedImageError, match="^2 damaged images; (?s:.*)bad1.jpg(?s:.*)bad2.jpg"
    ):
        decode_images(whole_images(folder), 12, cache)


def test_truncated_image_leaves_no_pixels_behind(save_photo, cache):
    file = save_photo("big.jpg", size=(300, 300))
    file.write_bytes(file.read_bytes()[:4000])
    with pytest.raises(DamagedImageError, match=r"^1 damaged images; (?s:.*)big\.jpg"):
        decode_images(whole_images(file.parent), 12, cache)
    assert list(cache.folder.iterdir()) == []


def test_test_images_must_not_be_train_images(save_photo):
    folder = save_photo("a.png").parent
    with pytest.raises(ValueError, match=r"^1 test images are also train images, the first is .*a"):
        photo_manifests(config(train_dir=folder, test_dir=folder))


def test_missing_and_empty_folders_are_refused(tmp_path):
    with pytest.raises(
        ValidationError, match=r"photos\.train_dir: there is no folder .*nowhere; README says"
    ):
        config(train_dir=tmp_path / "nowhere")
    with pytest.raises(
        ValidationError, match=r"photos\.test_dir: no image in .* or below it; images"
    ):
        config(test_dir=tmp_path)


def test_image_files_are_sorted(save_photo):
    folder = save_photo("b.png").parent
    save_photo("a.png")
    assert [file.name for file in image_files(folder)] == ["a.png", "b.png"]
