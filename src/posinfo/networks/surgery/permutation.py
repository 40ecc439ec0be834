"""A random order of channels between two layers (PermuteNet, Islam et al., ICCV 2021)."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated

import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor, nn

from posinfo.choices import one_of, pick

Order = Int64[Tensor, " c"] | Int64[Tensor, "n c"]
PermutationName = Annotated[str, one_of("permutation", lambda: PERMUTATIONS)]


class ChannelPermutation(nn.Module):
    """Reorders the channels of its input, in training and in evaluation alike.

    Orders are drawn by a generator of its own on the CPU, whose state is part of the module's
    state, so that a resumed training goes on with the orders that it would have drawn.

    Args:
        kind: a key of ``PERMUTATIONS``.
        seed: seed of the orders.

    Raises:
        ValueError: an unknown kind.
    """

    def __init__(self, kind: str, seed: int) -> None:
        super().__init__()
        self._draw = pick("permutation", kind, PERMUTATIONS)
        self._generator = torch.Generator()
        self.seed = seed
        self.restart(seed)

    def restart(self, seed: int) -> None:
        """Draw from another seed from now on; a fixed order stays."""
        self._generator.manual_seed(seed)

    def forward(self, features: Float[Tensor, "n c *hw"]) -> Float[Tensor, "n c *hw"]:
        """The same channels in another order."""
        order = self._draw(features, self._generator, self.seed)
        if order is None:
            return features
        order = order.to(features.device)
        if order.ndim == 1:
            return features[:, order]
        return features[torch.arange(len(features), device=features.device)[:, None], order]

    def get_extra_state(self) -> UInt8[Tensor, " s"]:
        """The state of the generator."""
        return self._generator.get_state()

    def set_extra_state(self, state: UInt8[Tensor, " s"]) -> None:
        """Go on from a state that ``get_extra_state`` returned."""
        self._generator.set_state(state.cpu())


@contextmanager
def other_orders(network: nn.Module, seed: int) -> Iterator[None]:
    """Within the block a network draws its orders from another seed; then it goes on as before."""
    permutations = [m for m in network.modules() if isinstance(m, ChannelPermutation)]
    states = [permutation.get_extra_state() for permutation in permutations]
    for permutation in permutations:
        permutation.restart(seed)
    try:
        yield
    finally:
        for permutation, state in zip(permutations, states, strict=True):
            permutation.set_extra_state(state)


def _none(features: Tensor, generator: torch.Generator, seed: int) -> None:
    return None


def _fixed(features: Tensor, generator: torch.Generator, seed: int) -> Order:
    return torch.randperm(features.shape[1], generator=torch.Generator().manual_seed(seed))


def _per_batch(features: Tensor, generator: torch.Generator, seed: int) -> Order:
    return torch.randperm(features.shape[1], generator=generator)


def _per_sample(features: Tensor, generator: torch.Generator, seed: int) -> Order:
    return torch.rand(features.shape[:2], generator=generator).argsort(dim=1)


PERMUTATIONS: dict[str, Callable[[Tensor, torch.Generator, int], Order | None]] = {
    "none": _none,
    "fixed": _fixed,  # one order for ever: the linear layer behind it absorbs it
    "per_batch": _per_batch,  # redrawn with every forward, shared by the batch: released code
    "per_sample": _per_sample,  # another order for every sample
}
