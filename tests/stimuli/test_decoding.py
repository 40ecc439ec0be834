import numpy as np
import pytest
from PIL import Image

from posinfo.stimuli.decoding import WHOLE, DamagedImageError, decode

ROTATE_CLOCKWISE = 6  # EXIF


@pytest.mark.parametrize(
    ("name", "mode"),
    [("a.jpg", "RGB"), ("b.jpg", "CMYK"), ("c.png", "L"), ("d.png", "RGBA"), ("e.png", "LA")],
)
def test_every_mode_becomes_rgb(save_photo, name, mode):
    pixels = decode(save_photo(name, mode=mode), WHOLE, 0, 16)
    assert pixels.shape == (3, 16, 16)
    assert pixels.dtype == np.uint8
    assert len(np.unique(pixels)) > 10


def test_whole_image_keeps_its_values(save_photo):
    file = save_photo("a.png", size=(16, 16))
    expected = np.asarray(Image.open(file)).transpose(2, 0, 1)
    np.testing.assert_array_equal(decode(file, (0, 0, 16, 16), 0, 16), expected)
    np.testing.assert_array_equal(decode(file, WHOLE, 0, 16), expected)


def test_box_is_cut_out(save_photo):
    file = save_photo("a.png")
    expected = np.asarray(Image.open(file))[5:21, 10:26].transpose(2, 0, 1)
    np.testing.assert_array_equal(decode(file, (10, 5, 26, 21), 0, 16), expected)


@pytest.mark.parametrize(("suffix", "order"), [("png", "<"), ("tiff", "<"), ("tiff", ">")])
def test_sixteen_bits_are_scaled_not_clipped(tmp_path, suffix, order):
    values = np.linspace(0, 65535, 256).astype(f"{order}u2").reshape(16, 16)
    file = tmp_path / f"deep.{suffix}"
    Image.fromarray(values).save(file)
    pixels = decode(file, (0, 0, 16, 16), 0, 16)
    np.testing.assert_array_equal(pixels[0], values // 256)


def test_smaller_image_is_a_mean_of_pixels(tmp_path):
    """Of a fine pattern nothing is left but its mean."""
    board = np.indices((64, 64)).sum(0) % 2 * 255
    Image.fromarray(board.astype(np.uint8)).save(tmp_path / "board.png")
    pixels = decode(tmp_path / "board.png", WHOLE, 0, 16).astype(int)
    assert (abs(pixels - 127.5) < 5).all()


def test_larger_image_is_interpolated(tmp_path):
    Image.fromarray(np.array([[0, 200]], dtype=np.uint8).repeat(2, 0)).save(tmp_path / "step.png")
    pixels = decode(tmp_path / "step.png", WHOLE, 0, 8)[0, 0]
    # pixels are 1/4 wide and lie between the centres of the two, which are at 1/2 and 3/2
    expected = np.clip((np.arange(8) + 0.5) / 4 - 0.5, 0, 1) * 200
    np.testing.assert_allclose(pixels, expected, atol=1)


def test_transparent_pixels_are_white(tmp_path):
    Image.new("RGBA", (8, 8), (200, 0, 0, 0)).save(tmp_path / "clear.png")
    assert (decode(tmp_path / "clear.png", (0, 0, 8, 8), 0, 8) == 255).all()


@pytest.mark.parametrize("suffix", ["jpg", "png", "tiff", "webp"])
def test_exif_rotation_is_applied(tmp_path, suffix):
    wide = np.zeros((20, 40, 3), dtype=np.uint8)
    wide[:, :20] = 255  # the left half, which becomes the upper half
    exif = Image.Exif()
    exif[0x0112] = ROTATE_CLOCKWISE
    file = tmp_path / f"turned.{suffix}"
    Image.fromarray(wide).save(file, exif=exif, quality=95)
    pixels = decode(file, WHOLE, 0, 20)
    assert pixels[:, :8].min() > 240
    assert pixels[:, 12:].max() < 15


def test_symmetries_are_the_eight_of_the_square(save_photo):
    file = save_photo("a.png", size=(8, 8))
    square = decode(file, (0, 0, 8, 8), 0, 8)
    images = [decode(file, (0, 0, 8, 8), symmetry, 8) for symmetry in range(8)]
    np.testing.assert_array_equal(images[1], np.rot90(square, axes=(1, 2)))
    np.testing.assert_array_equal(images[4], square[:, :, ::-1])
    assert len({image.tobytes() for image in images}) == 8


@pytest.mark.parametrize("content", [b"", b"no image at all"])
def test_other_files_are_named(tmp_path, content):
    file = tmp_path / "bad.jpg"
    file.write_bytes(content)
    with pytest.raises(DamagedImageError, match=r"bad\.jpg cannot be decoded: cannot identify"):
        decode(file, WHOLE, 0, 8)


@pytest.mark.parametrize("suffix", ["jpg", "png", "tiff"])
def test_truncated_image_is_named(save_photo, suffix):
    file = save_photo(f"a.{suffix}", size=(200, 200))
    file.write_bytes(file.read_bytes()[:3000])
    with pytest.raises(DamagedImageError, match=rf"a\.{suffix} cannot be decoded: "):
        decode(file, WHOLE, 0, 8)


def test_float_pixels_are_refused(tmp_path):
    Image.fromarray(np.zeros((8, 8), dtype=np.float32)).save(tmp_path / "f.tiff")
    with pytest.raises(DamagedImageError, match="'F' pixels have no fixed range"):
        decode(tmp_path / "f.tiff", (0, 0, 8, 8), 0, 8)
