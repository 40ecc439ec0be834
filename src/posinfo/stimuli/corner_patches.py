"""One patch in two opposite corners (Kayhan and van Gemert, CVPR 2020, figure 1)."""

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from posinfo.stimuli.photos import embedded_photograph

SIDE = 32  # px of the images
PATCH = (16, 13)  # height and width in pixels, as in the released code
PHOTOGRAPH = "chelsea"  # the released chess piece has no licence


def corner_patches() -> tuple[Float[Tensor, "2 1 32 32"], Int64[Tensor, "2"]]:
    """Two grey images, black but for the same patch, which touches two sides; and their classes.

    The patch is a reduced photograph in [0, 1]; it stands at the top left in class 0, at the bottom
    right in class 1.
    """
    height, width = PATCH
    grey = embedded_photograph(PHOTOGRAPH).convert("L").resize((width, height))
    patch = torch.from_numpy(np.array(grey)).float() / 255
    images = torch.zeros(2, 1, SIDE, SIDE)
    images[0, 0, :height, :width] = patch
    images[1, 0, -height:, -width:] = patch
    return images, torch.arange(2)
