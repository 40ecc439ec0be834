"""Real textures that fill the regions of scenes, or whole images without a layout."""

from dataclasses import dataclass
from functools import cache

import numpy as np
from jaxtyping import UInt8

from posinfo.stimuli.photos import EMBEDDED, embedded_photograph

STATIONARY = ("brick", "grass", "gravel")  # the same everywhere in the photograph
BRIGHTNESS = (0.7, 1.3)
PROBE_SEED = 20211011


@dataclass(frozen=True)
class TexturePool:
    """Photographs that are cut to textures.

    Attributes:
        shared: photographs that any class may be filled with.
        own: a photograph for each class, by its index; empty: no class has one.
    """

    shared: tuple[UInt8[np.ndarray, "_ _ 3"], ...]
    own: tuple[UInt8[np.ndarray, "_ _ 3"], ...] = ()

    def crop(
        self, kind: int | None, size: tuple[int, int], random: np.random.Generator
    ) -> UInt8[np.ndarray, "h w 3"]:
        """A random piece of a photograph, lighter or darker at random.

        Args:
            kind: index of the class whose photograph it is; None: a shared one.
            size: height and width in pixels.
            random: draws the photograph, the piece and the brightness.
        """
        if kind is None or not self.own:
            photograph = self.shared[random.integers(len(self.shared))]
        else:
            photograph = self.own[kind]
        piece = _piece(photograph, size, random)
        return (piece * random.uniform(*BRIGHTNESS)).clip(0, 255).astype(np.uint8)


@cache
def seen_textures() -> TexturePool:
    """Those of training: the embedded train photographs, one of which is each class's own."""
    names = list(EMBEDDED["train"])
    photographs = tuple(np.asarray(embedded_photograph(name)) for name in names)
    halves = [np.array_split(photograph, 2, axis=1) for photograph in photographs]
    # eight classes have textures of seven photographs: left halves first, then right ones
    return TexturePool(photographs, own=tuple(half[side] for side in (0, 1) for half in halves))


@cache
def unseen_textures() -> TexturePool:
    """The embedded test photographs; no class has its own."""
    return TexturePool(tuple(np.asarray(embedded_photograph(n)) for n in EMBEDDED["test"]))


def layout_free_images(count: int, size: tuple[int, int]) -> UInt8[np.ndarray, "n 3 h w"]:
    """Images of one stationary texture each, in fours: as it is, mirrored, upside down, and both.

    No place in them is special, so that a map of a network that tells places apart, in the mean
    over them, has it from the border alone.

    Args:
        count: of images, a multiple of 4.
        size: height and width in pixels.
    """
    random = np.random.default_rng(PROBE_SEED)
    pool = TexturePool(tuple(np.asarray(embedded_photograph(name)) for name in STATIONARY))
    crops = [pool.crop(None, size, random) for _ in range(count // 4)]
    # where one side of a crop meets the other, in a circular network, may be anywhere
    pieces = np.stack([np.roll(crop, random.integers(size), (0, 1)) for crop in crops])
    turned = np.stack([pieces[:, ::y, ::x] for y in (1, -1) for x in (1, -1)], axis=1)
    return np.ascontiguousarray(turned.reshape(-1, *size, 3).transpose(0, 3, 1, 2))


def _piece(
    photograph: UInt8[np.ndarray, "_ _ 3"], size: tuple[int, int], random: np.random.Generator
) -> UInt8[np.ndarray, "h w 3"]:
    """A random window; a photograph that is too small for it is repeated, mirrored at its edges."""
    sides = zip(size, photograph.shape, strict=False)
    missing = [want if want > have else 0 for want, have in sides]  # so that folds are anywhere
    padded = np.pad(photograph, [(0, missing[0]), (0, missing[1]), (0, 0)], mode="symmetric")
    top, left = (
        random.integers(have - want + 1) for want, have in zip(size, padded.shape, strict=False)
    )
    return padded[top : top + size[0], left : left + size[1]]
