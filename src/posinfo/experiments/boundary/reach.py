"""Part 2, beside the knee: the receptive field, and how far a border changes the last map."""

from collections.abc import Iterator
from math import ceil, inf

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from posinfo.experiment import Cell, Inputs, Result
from posinfo.measures.true_context import context_errors, reach_of_error
from posinfo.networks.models.normalisation import normalise
from posinfo.networks.models.place_classifiers import PlaceConfig, build_place_classifier
from posinfo.networks.surgery.observed import OUTPUT
from posinfo.networks.surgery.reach import probe_reach
from posinfo.work import Work

AT_ONCE = 2  # pictures with all that surrounds a crop


class ReachCell(Cell):
    """A network and photographs that are larger than its images.

    Attributes:
        place: the network; a trained one has the weights of its input ``network``.
        weights: key of what the source of the weights holds.
        crop: side in pixels of what is cut out of the middle of each picture.
        tolerance: error below which a map counts as right.
        seed: of the network.
    """

    place: PlaceConfig
    weights: str
    crop: int
    tolerance: float
    seed: int

    def check(self) -> None:
        """See ``AuditedConfig.check``."""
        self.place.network.check(self.crop)


def run(cell: ReachCell, inputs: Inputs, work: Work) -> Result:
    """Two distances in pixels, of the last map.

    Returns:
        A row per photograph: ``photograph, error_distance, field, seed``. ``error_distance`` is how
        far from the border of a crop the map differs from that of the picture around it by
        ``tolerance`` or more, see ``reach_of_error``; infinity: in the middle of the crop, too.
        ``field`` is the receptive
        field; NaN: it has no end. Tensor ``rings`` (p, r): the error of each ring of the map.
        ``facts``: ``name`` of the map, ``stride`` in pixels per ring, ``crop``, and ``context``,
        the pixels of a picture around it: no more than the map reaches along a row, and so no
        kernels may be taller than they are wide.
    """
    pictures = inputs["pictures"]
    classifier = build_place_classifier(cell.place, cell.crop, cell.seed, work.device)
    if "network" in inputs:
        classifier.load_state_dict(dict(inputs["network"].tensors))
    observed = classifier.eval().observed
    spread = probe_reach(observed)
    name = [each for each, reach in spread.reaches.items() if reach.stride][-1]
    name = OUTPUT if spread.reaches[OUTPUT].stride else name
    reach = spread.reaches[name]
    assert reach.stride is not None
    side, period = pictures.arrays["pixels"].shape[2], spread.period
    room = (side - cell.crop) // 2 // period * period
    # what lies farther from the crop changes nothing in it; its last column may stick out a little
    needed = inf if reach.margin is None else reach.margin + -side % period
    context = room if needed > room else ceil(needed / period) * period
    rings = torch.cat(
        [
            context_errors(observed, images, context, {name: reach.stride})[name].rings
            for images in _pictures(cell, pictures, room - context, work)
        ]
    ).numpy()
    far = [reach_of_error(each, cell.tolerance) for each in rings]
    rows = {
        "photograph": pictures.table.photograph,
        "error_distance": [inf if d is None else float(d * reach.stride) for d in far],
        "field": np.nan if reach.field is None else float(reach.field),
        "seed": cell.seed,
    }
    facts = {"name": name, "stride": reach.stride, "context": context, "crop": side - 2 * room}
    tensors = {"rings": torch.from_numpy(rings)}
    return Result(rows=pd.DataFrame(rows), tensors=tensors, facts=facts)


def _pictures(cell: ReachCell, pictures: Result, trimmed: int, work: Work) -> Iterator[Tensor]:
    side = pictures.arrays["pixels"].shape[2]
    middle = slice(trimmed, side - trimmed)
    pixels = pictures.arrays["pixels"][:, :, middle, middle]
    work.on_total(len(pixels))
    for first in range(0, len(pixels), AT_ONCE):
        batch = torch.from_numpy(np.array(pixels[first : first + AT_ONCE])).to(work.device)
        yield normalise(batch, "imagenet", cell.place.network.colours)
        work.on_progress(len(batch))
