"""The static part of an audit: what padding, strides and reach follow from without an image."""

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from posinfo.experiment import Inputs, Result
from posinfo.experiments.audit.cells import NetworkCell, load
from posinfo.networks.surgery.padded_layers import even_sizes, padded_layers
from posinfo.networks.surgery.reach import probe_reach
from posinfo.work import Work

FARTHEST = 40  # px from the image size within which an even one is looked for


def run(cell: NetworkCell, inputs: Inputs, work: Work) -> Result:
    """What follows from the network alone.

    Returns:
        In ``facts``: ``padded``, a ``PaddedLayer`` each, as lists; ``even_sizes``, the nearest
        sides in pixels at which all are even; ``reaches``, by layer, as lists; ``period`` in
        pixels; ``covered_by``, name and class of the layer behind which everything depends on
        everything; ``parameters``, their number. ``refused`` says why the
        reach is not known; empty: it is.
    """

    def look(network: nn.Module, images: Callable[[int], Tensor]) -> dict[str, Any]:
        size = cell.image_size
        return {
            "padded": [list(call) for call in padded_layers(network, images(size))],
            "even_sizes": even_sizes(network, images, size, FARTHEST),
        }

    facts = cell.network.on_shapes(look)
    observed = load(cell, work)
    facts |= {"parameters": sum(each.numel() for each in observed.parameters()), "refused": ""}
    try:
        spread = probe_reach(observed)
    except ValueError as error:
        unknown = {"reaches": {}, "covered_by": [], "period": 1}
        return Result(facts={**facts, **unknown, "refused": str(error)})
    reaches = {name: list(reach) for name, reach in spread.reaches.items()}
    covered = [spread.layer, spread.kind] if spread.layer is not None else []
    found = {"reaches": reaches, "covered_by": covered, "period": spread.period}
    return Result(facts={**facts, **found})
