import numpy as np
import pytest

from posinfo.experiments.images import ImagesCell, run
from posinfo.stimuli.decoding import DamagedImageError
from posinfo.stimuli.photos import decode_images, manifest_key, whole_images
from posinfo.stimuli.synthetic import synthetic_image
from posinfo.work import Work


def photographs(folder):
    manifest = whole_images(folder, "photos.train_dir")
    return ImagesCell(image_size=12, content=manifest_key(manifest), manifest=manifest)


def test_photographs_are_decoded_in_the_order_of_their_names(save_photo, work):
    for name in ("b.png", "a.png", "below/c.png"):
        save_photo(name)
    cell = photographs(save_photo("d.png").parent)
    result = run(cell, {}, work)
    assert result.table.photograph.tolist() == ["a.png", "b.png", "below/c.png", "d.png"]
    assert "file" not in result.table  # a folder may move
    expected = decode_images(cell.manifest, 12, Work())
    np.testing.assert_array_equal(result.arrays["pixels"], expected)
    assert isinstance(result.arrays["pixels"], np.memmap)


def test_damaged_photograph_is_named(save_photo, work):
    folder = save_photo("good.png").parent
    (folder / "broken.png").write_bytes(b"not a picture")
    with pytest.raises(DamagedImageError, match=r"^1 damaged images; (?s:.*)broken\.png"):
        run(photographs(folder), {}, work)


def test_a_key_has_the_content_and_not_the_folder(save_photo, tmp_path):
    cell = photographs(save_photo("a.png").parent)
    elsewhere = (tmp_path / "photos").rename(tmp_path / "moved")
    assert photographs(elsewhere).model_dump(mode="json") == cell.model_dump(mode="json")
    (elsewhere / "a.png").rename(elsewhere / "b.png")
    assert photographs(elsewhere).model_dump(mode="json") != cell.model_dump(mode="json")


def test_synthetic_images_have_a_row_and_their_pixels_each(work):
    stimuli = ("noise_independent", "black")
    result = run(ImagesCell(image_size=9, stimuli=stimuli), {}, work)
    assert result.table.photograph.tolist() == list(stimuli)
    for name, pixels in zip(stimuli, result.arrays["pixels"], strict=True):
        np.testing.assert_array_equal(pixels[None], synthetic_image(name, (9, 9)).numpy())
