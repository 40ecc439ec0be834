"""A network that returns maps of some of its layers beside its output, whatever that is."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import fields, is_dataclass
from functools import partial
from typing import Any

from jaxtyping import Float
from torch import Tensor, nn

from posinfo.networks.surgery.blocks import as_maps
from posinfo.networks.surgery.layer_names import require_layer
from posinfo.networks.surgery.padding import require_padded

OUTPUT = "output"
# by which networks refuse images of a size
REFUSALS = (RuntimeError, AssertionError, ValueError, TypeError, LookupError)


class Observed(nn.Module):
    """A network and what is read of it in one forward pass.

    Args:
        network: any network of images, in evaluation mode; it is not copied.
        layers: names of layers whose outputs are maps; of one that runs more than once, the first
            output is read.
        output: dotted path to the tensor among what the network returns, as ``logits`` or
            ``0.boxes``: keys, indices and attributes; empty: the tensor itself, or the only one.
        channels_last: whether layers return (n, h, w, c).

    Raises:
        ValueError: there is no such layer.
    """

    def __init__(
        self,
        network: nn.Module,
        layers: Sequence[str] = (),
        output: str = "",
        channels_last: bool = False,
    ) -> None:
        super().__init__()
        for layer in filter(None, layers):  # the network itself has no name
            require_layer(network, layer, "the network")
        self.network, self.layers = network, tuple(layers)
        self.output, self.channels_last = output, channels_last

    def of(self, network: nn.Module) -> "Observed":
        """The same of another network with the same layers, as a re-padded one."""
        return Observed(network, self.layers, self.output, self.channels_last)

    def forward(self, images: Float[Tensor, "n c h w"]) -> dict[str, Tensor]:
        """Maps (n, c, h, w) of the layers by name, in their order, and at last ``output``.

        Raises:
            ValueError: a layer is not run or returns no map, or there is no such output.
        """
        found: dict[str, Tensor] = {}

        def keep(name: str, module: nn.Module, inputs: object, output: object) -> None:
            if name not in found:
                found[name] = as_maps(tensor_at(output, "", f"layer {name!r}"), self.channels_last)

        with ExitStack() as hooks:
            for name in self.layers:
                layer = self.network.get_submodule(name)
                hooks.callback(layer.register_forward_hook(partial(keep, name)).remove)
            returned = self.network(images)
        require_padded(self.network)
        missed = [name for name in self.layers if name not in found]
        if missed:
            raise ValueError(f"the network does not run its layer {missed[0]!r}")
        output = tensor_at(returned, self.output, "the network")
        return {**{name: found[name] for name in self.layers}, OUTPUT: output}


def tensor_at(value: object, path: str, what: str) -> Tensor:
    """The tensor at a path of what a network or a layer returns.

    Args:
        value: a tensor, or dicts, tuples, lists, dataclasses and objects around tensors.
        path: names of keys, indices and attributes with dots between them; empty: the tensor
            itself, or the only one.
        what: returned the value, for messages.

    Raises:
        ValueError: there is nothing of the name, no tensor, or more than one; the message lists
            the names that there are.
    """
    at = value
    for part in path.split(".") if path else ():
        parts = _parts(at)
        if part not in parts and not hasattr(at, part):
            raise ValueError(
                f"{what} returns no {path!r}: {type(at).__name__} has no {part!r} but "
                f"{', '.join(parts) or 'no parts'}"
            )
        at = parts[part] if part in parts else getattr(at, part)
    if isinstance(at, Tensor):
        return at
    tensors = {name: part for name, part in _parts(at).items() if isinstance(part, Tensor)}
    if len(tensors) == 1:
        return next(iter(tensors.values()))
    names = ", ".join(f"{path}.{name}".strip(".") for name in tensors)
    raise ValueError(
        f"{what} returns {type(at).__name__}, not a tensor; "
        + (f"name one of its tensors: {names}" if names else "there is no tensor in it")
    )


def _parts(value: object) -> dict[str, Any]:
    """What a value consists of, by name."""
    if isinstance(value, Mapping):
        return {str(name): part for name, part in value.items()}
    if is_dataclass(value):
        return {field.name: getattr(value, field.name) for field in fields(value)}
    if isinstance(value, list | tuple):
        names = getattr(value, "_fields", range(len(value)))
        return {str(name): part for name, part in zip(names, value, strict=True)}
    return {}
