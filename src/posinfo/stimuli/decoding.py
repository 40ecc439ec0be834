"""From an image file of any kind to 8-bit RGB pixels of one size."""

from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageOps

Box = tuple[int, int, int, int]
WHOLE: Box = (0, 0, 0, 0)
SYMMETRIES = 8  # of the square: four quarter turns, each mirrored or not


class DamagedImageError(ValueError):
    """A file that has the name of an image and cannot be read as one."""


def decode(file: Path, box: Box, symmetry: int, size: int) -> UInt8[np.ndarray, "3 size size"]:
    """The inside of a box of an image, resized to a square.

    Rotated by its EXIF tag; grey, palette, 16-bit and CMYK images become 8-bit RGB, and
    transparent ones are laid on white.

    Args:
        file: the image; of an animation, its first frame.
        box: left, top, right and bottom in pixels of the upright image, or ``WHOLE``.
        symmetry: 0..7: quarter turns counter-clockwise, plus 4 to mirror left and right first.
        size: side in pixels of the result; the aspect ratio is not kept, as in the released code.

    Raises:
        DamagedImageError: the file cannot be decoded.
    """
    try:
        with Image.open(file) as image:
            rgb = _as_rgb(ImageOps.exif_transpose(image))
        chosen = None if box == WHOLE else box
        square = rgb.resize((size, size), Image.Resampling.BILINEAR, box=chosen)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise DamagedImageError(f"{file} cannot be decoded: {error}") from error
    pixels = np.asarray(square).transpose(2, 0, 1)
    mirrored = pixels[:, :, ::-1] if symmetry >= SYMMETRIES // 2 else pixels
    return np.rot90(mirrored, symmetry % 4, axes=(1, 2))


def _as_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I;16"):  # Pillow would clip 16-bit grey at 255 instead of scaling
        image = Image.fromarray((np.asarray(image, dtype=np.uint16) >> 8).astype(np.uint8))
    if image.mode in ("I", "F"):
        raise ValueError(f"{image.mode!r} pixels have no fixed range; store them with 8 or 16 bits")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        paper = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(paper, image)
    return image.convert("RGB")
