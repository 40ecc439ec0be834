"""A network inside of a module that does more, without a trace in names."""

from collections.abc import Iterator
from typing import Any

from torch import Tensor, nn

PREFIX = "wrapped."


class Wrapper(nn.Module):
    """A module around a network, whose attributes, layers and tensors keep their names.

    Args:
        network: the network itself; it becomes the attribute ``wrapped``.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.wrapped = network
        self.training = network.training  # its layers may be in modes of their own
        self.register_state_dict_post_hook(_without_prefix)
        self.register_load_state_dict_pre_hook(_with_prefix)

    def __getattr__(self, name: str) -> Any:
        """Attributes and layers of the network by their own names."""
        try:
            return super().__getattr__(name)
        except AttributeError:
            if name == "wrapped":  # while a copy is being made, there is none yet
                raise
            return getattr(self.wrapped, name)

    def __setattr__(self, name: str, value: Any) -> None:
        """A layer that the network has is replaced in the network."""
        network = self.__dict__.get("_modules", {}).get("wrapped")
        known = network is not None and name in dict(network.named_children())
        if known and isinstance(value, nn.Module):
            setattr(network, name, value)
        else:
            super().__setattr__(name, value)

    def named_modules(
        self, memo: set[nn.Module] | None = None, prefix: str = "", remove_duplicate: bool = True
    ) -> Iterator[tuple[str, nn.Module]]:
        """The layers of the network by their own names, and so its parameters and buffers.

        Args:
            memo: modules that are left out.
            prefix: stands before each name.
            remove_duplicate: whether a layer that is used twice comes once.
        """
        for name, module in super().named_modules(memo, "", remove_duplicate):
            own = "" if name == PREFIX.rstrip(".") else name.removeprefix(PREFIX)
            yield ".".join(part for part in (prefix, own) if part), module


def _without_prefix(
    module: nn.Module, state: dict[str, Tensor], prefix: str, *more: object
) -> None:
    for name in [name for name in state if name.startswith(prefix + PREFIX)]:
        state[prefix + name.removeprefix(prefix + PREFIX)] = state.pop(name)


def _with_prefix(module: nn.Module, state: dict[str, Tensor], prefix: str, *more: object) -> None:
    own = tuple(f"{prefix}{name}." for name, _ in module.named_children() if name != "wrapped")
    for name in [name for name in state if name.startswith(prefix) and not name.startswith(own)]:
        state[prefix + PREFIX + name.removeprefix(prefix)] = state.pop(name)
