"""Texture recognition on patches of ten embedded photographs, which are the classes."""

import numpy as np
import torch
from jaxtyping import Int64, UInt8
from torch import Tensor

from posinfo.stimuli.photos import embedded_photograph

TEXTURES = (
    "astronaut", "brick", "chelsea", "china", "coffee", "flower", "grace_hopper", "grass", "gravel",
    "rocket",
)  # fmt: skip
# shares of the width of each photograph: patches of different splits have no pixel in common
STRIPS = {"train": (0.0, 0.6), "validation": (0.6, 0.7), "test": (0.7, 1.0)}


def texture_patches(
    split: str, per_photograph: int, side: int
) -> tuple[UInt8[Tensor, "n 3 side side"], Int64[Tensor, " n"]]:
    """Patches from one strip of each photograph, and the index of the photograph of each.

    Args:
        split: a key of ``STRIPS``.
        per_photograph: patches of each photograph; another number draws all of them anew.
        side: side of a patch in pixels.
    """
    start, stop = STRIPS[split]
    generator = torch.Generator().manual_seed(list(STRIPS).index(split))
    patches = []
    for name in TEXTURES:
        photograph = np.asarray(embedded_photograph(name))
        height, width = photograph.shape[:2]
        left, right = round(start * width), round(stop * width) - side
        rows = torch.randint(height - side + 1, (per_photograph,), generator=generator).tolist()
        columns = torch.randint(left, right + 1, (per_photograph,), generator=generator).tolist()
        patches += [
            photograph[row : row + side, column : column + side]
            for row, column in zip(rows, columns, strict=True)
        ]
    pixels = torch.from_numpy(np.stack(patches)).permute(0, 3, 1, 2).contiguous()
    return pixels, torch.arange(len(TEXTURES)).repeat_interleave(per_photograph)
