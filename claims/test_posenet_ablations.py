"""What Tables 2 to 4 of Islam et al. (ICLR 2020) claim, on the default run, with margins."""

from itertools import pairwise

import pytest

PATTERNS = ["horizontal", "gaussian"]
BLOCKS = ["vgg16-f1", "vgg16-f2", "vgg16-f3", "vgg16-f4", "vgg16-f5"]


@pytest.mark.parametrize("pattern", PATTERNS)
def test_deep_blocks_know_more_than_shallow_ones(ablations, pattern):
    assert ablations["vgg16-f5", pattern] >= ablations["vgg16-f1", pattern] + 0.2


@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize(("shallow", "deep"), list(pairwise(BLOCKS)))
def test_each_block_knows_as_much_as_the_one_before(ablations, pattern, shallow, deep):
    assert ablations[deep, pattern] >= ablations[shallow, pattern] - 0.03


@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_larger_kernel_reads_more(ablations, pattern):
    """Only from 1 to 3: a 7x7 readout reads no more here, see docs/papers/posenet.md."""
    assert ablations["vgg16", pattern] >= ablations["vgg16-k1", pattern] + 0.005


@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize(
    ("less", "more"),
    list(pairwise(["posenet-norm-none", "posenet-norm-none-p1", "posenet-norm-none-p2"])),
)
def test_padding_the_readout_tells_it_where_it_is(ablations, pattern, less, more):
    assert ablations[more, pattern] >= ablations[less, pattern] + 0.02


@pytest.mark.parametrize("pattern", [*PATTERNS, "horizontal_stripes"])
def test_zero_padding_is_why(ablations, pattern):
    assert ablations["vgg16", pattern] >= ablations["vgg16_unpadded", pattern] + 0.3


@pytest.mark.parametrize("pattern", [*PATTERNS, "horizontal_stripes"])
def test_zero_padding_is_why_in_random_networks_too(ablations, pattern):
    """Our finding, not the paper's: means over three networks."""
    bare = ablations["vgg16_untrained_unpadded", pattern]
    assert abs(bare) <= 0.2
    assert ablations["vgg16_untrained", pattern] >= bare + 0.4


@pytest.mark.parametrize("pattern", PATTERNS)
def test_without_padding_the_exact_readout_finds_little_either(ablations, pattern):
    """So SGD's readouts of the unpadded network are not merely stuck."""
    assert ablations["vgg16_unpadded-ridge-k1", pattern] <= 0.25
    assert ablations["vgg16-ridge-k1", pattern] >= 0.65
