import pytest
import torch
from torch import nn

from posinfo.networks.surgery.permutation import PERMUTATIONS, ChannelPermutation, other_orders

FEATURES = torch.arange(24.0).view(4, 6)


@pytest.mark.parametrize("kind", PERMUTATIONS)
def test_channels_are_reordered_and_nothing_else(kind):
    for features in (FEATURES, FEATURES[:, :, None, None].expand(-1, -1, 3, 2)):
        permuted = ChannelPermutation(kind, 0)(features)
        assert torch.equal(permuted.sort(dim=1).values, features)
        assert torch.equal(
            features.flatten(2)[:, :, 0] if features.ndim > 2 else features, FEATURES
        )


def test_none_is_the_identity():
    assert ChannelPermutation("none", 0)(FEATURES) is FEATURES


def test_fixed_never_changes():
    permutation = ChannelPermutation("fixed", 3)
    first = permutation(FEATURES)
    assert all(torch.equal(permutation(FEATURES), first) for _ in range(5))
    assert not torch.equal(first, FEATURES)


def test_per_batch_is_redrawn_each_forward_and_shared_by_the_batch():
    permutation = ChannelPermutation("per_batch", 0)
    for training in (True, False):
        permutation.train(training)
        orders = []
        for _ in range(5):
            order = permutation(FEATURES) - FEATURES[:, :1]
            assert (order == order[0]).all()
            orders.append(tuple(order[0].tolist()))
        assert len(set(orders)) == 5


def test_per_sample_gives_each_sample_an_order_of_its_own():
    order = ChannelPermutation("per_sample", 0)(FEATURES.repeat(5, 1)) % 6
    assert len({tuple(row.tolist()) for row in order}) > 5


def test_state_brings_back_the_same_orders():
    permutation = ChannelPermutation("per_batch", 0)
    permutation(FEATURES)
    state = permutation.state_dict()
    later = [permutation(FEATURES) for _ in range(3)]
    other = ChannelPermutation("per_batch", 5)
    other.load_state_dict(state)
    assert all(torch.equal(other(FEATURES), expected) for expected in later)


@pytest.mark.parametrize("kind", PERMUTATIONS)
def test_other_orders_are_drawn_aside(kind):
    def drawn(aside):
        permutation = ChannelPermutation(kind, 0)
        orders = [permutation(FEATURES)]
        if aside:
            with other_orders(nn.Sequential(permutation), 9):
                inside = permutation(FEATURES)
            if kind.startswith("per_"):
                again = ChannelPermutation(kind, 9)
                assert torch.equal(inside, again(FEATURES))
        return torch.stack([*orders, permutation(FEATURES)])

    assert torch.equal(drawn(aside=True), drawn(aside=False))


def test_global_generator_is_left_alone():
    before = torch.get_rng_state()
    for kind in PERMUTATIONS:
        ChannelPermutation(kind, 0)(FEATURES)
    assert torch.equal(torch.get_rng_state(), before)


def test_unknown_kind():
    with pytest.raises(ValueError, match="^permutation must be one of none, fixed, per_batch,"):
        ChannelPermutation("random", 0)
