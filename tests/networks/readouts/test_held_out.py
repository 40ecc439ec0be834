import math
import re

import pytest
import torch

from posinfo.networks.readouts.held_out import hold_out

NAMES = [f"photo {index}" for index in range(8)]
CROPS = [NAMES[index % 8] for index in range(20)]


def held(photographs, share):
    mask = hold_out(photographs, share).tolist()
    chosen, left = (
        {name for name, out in zip(photographs, mask, strict=True) if out == which}
        for which in (True, False)
    )
    assert not chosen & left  # no crop of a photograph whose other crops are trained on
    return chosen


@pytest.mark.parametrize("share", [0.01, 0.25, 0.3, 0.5, 0.99])
def test_so_many_whole_photographs_are_held_out_and_one_is_left(share):
    assert len(held(CROPS, share)) == min(7, math.ceil(share * 8))


def test_which_ones_is_drawn_from_their_names_alone():
    order = torch.randperm(8, generator=torch.Generator().manual_seed(0)).tolist()
    expected = {NAMES[index] for index in order[:3]}
    for photographs in (NAMES, CROPS, CROPS[::-1], [*CROPS, *NAMES[:2] * 9]):
        assert held(photographs, 0.3) == expected


def test_two_photographs_are_one_and_one():
    assert len(held(["a", "b", "b"], 0.9)) == 1


@pytest.mark.parametrize(("photographs", "got"), [(["a"] * 3, "1: a"), ([], "0: ")])
def test_one_photograph_cannot_be_held_out(photographs, got):
    message = f"to hold whole photographs out, there must be two or more; got {got}"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        hold_out(photographs, 0.5)
