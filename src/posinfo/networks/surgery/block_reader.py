"""Reads the outputs of some layers of a network, whatever its ``forward`` does."""

from collections.abc import Callable, Container, Sequence
from contextlib import ExitStack, suppress
from dataclasses import fields, is_dataclass
from functools import partial
from typing import Any

from jaxtyping import Float
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from posinfo.networks.surgery.padding import require_padded
from posinfo.networks.surgery.wrapper import Wrapper


class BlockReader(Wrapper):
    """Runs a network until the last of some layers has answered, and returns their outputs.

    Hooks read the outputs during an ordinary forward pass and are removed after it. Layers behind
    the last block are not run. Of a layer that runs more than once, the first output is read.

    Args:
        network: any network; it is not copied.
        layers: names of the layers behind f1, f2, ...; ``layer[key]`` reads a part of an output
            that is a dict, a dataclass or a tuple.
        read: is given an output and the index of its block as soon as it is there, and returns
            what is kept of it.
    """

    def __init__(
        self, network: nn.Module, layers: Sequence[str], read: Callable[[Tensor, int], Tensor]
    ) -> None:
        super().__init__(network)
        self._paths, self.read = tuple(layers), read

    def forward(self, images: Float[Tensor, "n 3 h w"]) -> dict[str, Tensor]:
        """What is kept of each block by its name, f1, f2, ..., from low to high.

        Raises:
            ValueError: a layer is not run, or its output is no tensor.
        """
        found: dict[int, Tensor] = {}

        def keep(index: int, module: nn.Module, inputs: object, output: object) -> None:
            if index in found:
                return
            found[index] = self.read(_tensor_in(output, self._paths[index]), index)
            if len(found) == len(self._paths):
                raise _AllFoundError

        with ExitStack() as hooks:
            for index, layer in enumerate(self._paths):
                module = self.wrapped.get_submodule(layer.partition("[")[0])
                hooks.callback(module.register_forward_hook(partial(keep, index)).remove)
            with suppress(_AllFoundError):
                self.wrapped(images)
        require_padded(self.wrapped)
        missed = [layer for index, layer in enumerate(self._paths) if index not in found]
        if missed:
            raise ValueError(f"the network does not run its layer {missed[0]!r}")
        return {f"f{index + 1}": found[index] for index in range(len(found))}


class Touched(TorchFunctionMode):
    """Within the block, notes which parameters and buffers of a network are used.

    Args:
        network: whose tensors they are.

    Attributes:
        names: of the tensors that were used.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.names: set[str] = set()
        self._known = {
            id(tensor): name for name, tensor in network.state_dict(keep_vars=True).items()
        }

    def __torch_function__(
        self, func: Callable, types: Any, args: tuple = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """PyTorch calls it in place of each of its functions."""
        kwargs = kwargs or {}
        for value in [*args, *kwargs.values()]:
            parts = value if isinstance(value, (list, tuple)) else [value]
            self.names |= {self._known[id(part)] for part in parts if id(part) in self._known}
        return func(*args, **kwargs)


def drop_unused(network: nn.Module, needed: Container[str]) -> None:
    """Replace layers whose tensors are not needed, as those of a classifier, in place.

    Args:
        network: is left with ``nn.Identity`` in their places.
        needed: names of parameters and buffers.
    """
    for name, layer in list(network.named_modules(remove_duplicate=False)):
        tensors = layer.state_dict(prefix=f"{name}." if name else "")
        if tensors and name and not any(tensor in needed for tensor in tensors):
            network.set_submodule(name, nn.Identity())


class _AllFoundError(Exception):
    """The forward pass may end here."""


def _tensor_in(output: object, path: str) -> Tensor:
    layer, _, key = path.rstrip("]").partition("[")
    if isinstance(output, Tensor) and not key:
        return output
    if isinstance(output, dict):
        parts = {str(name): value for name, value in output.items()}
    elif is_dataclass(output):
        parts = {field.name: getattr(output, field.name) for field in fields(output)}
    else:
        parts = {
            str(i): v for i, v in enumerate(output if isinstance(output, (list, tuple)) else [])
        }
    tensors = {name: value for name, value in parts.items() if isinstance(value, Tensor)}
    if key in tensors:
        return tensors[key]
    if len(tensors) == 1 and not key:
        return next(iter(tensors.values()))
    raise ValueError(
        f"the output of layer {layer!r} is {type(output).__name__} and has no tensor {key!r}; "
        f"name one of {', '.join(f'{layer}[{name}]' for name in tensors) or 'another layer'}"
    )
