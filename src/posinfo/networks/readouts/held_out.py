"""Which images are held out, so that readouts are never judged on a photograph they have seen."""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Bool
from torch import Tensor

HOLD_OUT_SEED = 0


def hold_out(photographs: Sequence[str], share: float) -> Bool[Tensor, " n"]:
    """A mask of the images of some photographs: crops of one photograph stay together.

    The choice depends on the names of the photographs alone, and on nothing that is read from them.

    Args:
        photographs: name of the photograph that each image shows.
        share: of the photographs, above 0 and below 1; rounded up, but one is always left.

    Raises:
        ValueError: fewer than two photographs.
    """
    names = sorted(set(photographs))
    if len(names) < 2:
        raise ValueError(
            "to hold whole photographs out, there must be two or more; "
            f"got {len(names)}: {', '.join(names)}"
        )
    generator = torch.Generator().manual_seed(HOLD_OUT_SEED)
    order = torch.randperm(len(names), generator=generator).tolist()
    chosen = {names[index] for index in order[: min(len(names) - 1, math.ceil(share * len(names)))]}
    return torch.tensor([photograph in chosen for photograph in photographs])
