"""The first step of experiments on real photographs: decoded once, and images without content."""

import numpy as np
import pandas as pd
from pydantic import Field

from posinfo.experiment import Cell, Inputs, Result
from posinfo.stimuli.duplicates import require_distinct
from posinfo.stimuli.photos import decode_images
from posinfo.stimuli.synthetic import synthetic_image
from posinfo.work import Work


class ImagesCell(Cell):
    """A set of images of one size.

    Attributes:
        image_size: side in pixels.
        content: key of the photographs and of what is cut out of them; empty: no photographs.
        stimuli: in their place, images without content, keys of ``SYNTHETIC``.
        manifest: of the photographs, see ``posinfo.stimuli.photos``.
        others: paths of photographs of which none may be among these.
    """

    image_size: int
    content: str = ""
    stimuli: tuple[str, ...] = ()
    manifest: pd.DataFrame | None = Field(default=None, exclude=True)
    others: tuple[str, ...] = Field(default=(), exclude=True)

    def check(self) -> None:
        """See ``require_distinct``."""
        if self.manifest is not None and self.others:
            require_distinct(self.others, self.manifest.file)


def run(cell: ImagesCell, inputs: Inputs, work: Work) -> Result:
    """Array ``pixels`` (n, 3, h, w) uint8, and a row per image with the ``photograph`` it shows."""
    if cell.manifest is not None:
        work.on_total(len(cell.manifest))
        pixels = decode_images(cell.manifest, cell.image_size, work)
        return Result(arrays={"pixels": pixels}, rows=cell.manifest.drop(columns="file"))
    size = (cell.image_size, cell.image_size)
    pixels = np.concatenate([synthetic_image(name, size).numpy() for name in cell.stimuli])
    return Result(arrays={"pixels": pixels}, rows=pd.DataFrame({"photograph": cell.stimuli}))
