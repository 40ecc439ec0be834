"""A network inside of a module that does more, without a trace in names."""

from typing import Any

from torch import Tensor, nn

PREFIX = "network."


class Wrapper(nn.Module):
    """A module around a network, whose attributes, layers and state dict keep their names.

    Args:
        network: the network itself.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.training = network.training  # its layers may be in modes of their own
        self.register_state_dict_post_hook(_without_prefix)
        self.register_load_state_dict_pre_hook(_with_prefix)

    def __getattr__(self, name: str) -> Any:
        """Attributes and layers of the network by their own names."""
        try:
            return super().__getattr__(name)
        except AttributeError:
            if name == "network":  # while a copy is being made, there is none yet
                raise
            return getattr(self.network, name)

    def __setattr__(self, name: str, value: Any) -> None:
        """A layer that the network has is replaced in the network."""
        network = self.__dict__.get("_modules", {}).get("network")
        known = network is not None and name in dict(network.named_children())
        if known and isinstance(value, nn.Module):
            setattr(network, name, value)
        else:
            super().__setattr__(name, value)


def _without_prefix(
    module: nn.Module, state: dict[str, Tensor], prefix: str, *more: object
) -> None:
    for name in [name for name in state if name.startswith(prefix + PREFIX)]:
        state[prefix + name.removeprefix(prefix + PREFIX)] = state.pop(name)


def _with_prefix(module: nn.Module, state: dict[str, Tensor], prefix: str, *more: object) -> None:
    own = tuple(f"{prefix}{name}." for name, _ in module.named_children() if name != "network")
    for name in [name for name in state if name.startswith(prefix) and not name.startswith(own)]:
        state[prefix + PREFIX + name.removeprefix(prefix)] = state.pop(name)
