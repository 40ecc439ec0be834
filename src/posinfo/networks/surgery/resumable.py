"""A network that runs again from one of its layers on, and not from the images."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves, tree_map_only

from posinfo.networks.surgery.ablation import require_tensor
from posinfo.networks.surgery.layer_names import require_layer
from posinfo.networks.surgery.padding import Repadded


class Resumable:
    """A network in evaluation mode that can be run again from one layer on.

    ``start`` runs it once and keeps what the modules before the layer have answered. ``finish``
    runs it with another output of the layer, and those modules give the answers that were kept: the
    result is that of the whole network, at the cost of what follows the layer. What a ``forward``
    around the layer computes by itself, between the modules, runs again, so that skip connections
    work.

    Args:
        network: any network in evaluation mode; it is not copied, and no call leaves anything
            behind in it.
        layer: name of a layer whose output is a tensor and that runs once.

    Raises:
        ValueError: there is no such layer.
    """

    def __init__(self, network: nn.Module, layer: str) -> None:
        require_layer(network, layer, "the network")
        self.network, self.layer = network, layer
        self._target = network.get_submodule(layer)
        around = [
            module
            for module in network.modules()
            if module is not self._target and self._target in module.modules()
        ]
        children = [child for module in around for child in module.children()]
        self._watched = [child for child in dict.fromkeys(children) if child not in around]
        self._images: Tensor | None = None
        self._answers: dict[nn.Module, list[_Answer]] = {}

    @torch.no_grad()
    def start(self, images: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n c *s"]:
        """The layer's output for these images.

        Raises:
            ValueError: the layer does not run, or its output is no tensor.
        """
        answers: dict[nn.Module, list[tuple[Any, list[int], Any]]] = {}

        def keep(module: nn.Module, inputs: object, output: object) -> None:
            if self._target not in answers:
                kept = output, _versions(output), tree_map_only(Tensor, Tensor.clone, output)
                answers.setdefault(module, []).append(kept)

        with ExitStack() as hooks:
            for module in self._watched:
                hooks.callback(module.register_forward_hook(keep).remove)
            self.network(images)
        if self._target not in answers:
            raise ValueError(f"the network does not run its layer {self.layer!r}")
        self._images = images
        self._answers = {
            module: [
                _Answer(copy, not versions or versions != _versions(output))
                for output, versions, copy in of_module
            ]
            for module, of_module in answers.items()
        }
        return require_tensor(self._answers[self._target][0].again(), self.layer)

    @torch.no_grad()
    def finish(self, latent: Float[Tensor, "n c *s"]) -> Any:
        """What the network returns for the images of ``start`` if the layer answers this.

        Args:
            latent: in place of the layer's output.
        """
        assert self._images is not None, "start comes first"
        with ExitStack() as replays:
            instead = [_Answer(latent, changes=True)]
            for module, known in {**self._answers, self._target: instead}.items():
                replays.enter_context(_replayed(module, known))
            network = self.network  # of one that is re-padded, a part that pads nowhere may run
            return (network.run if isinstance(network, Repadded) else network)(self._images)


class _Answer(NamedTuple):
    """What a module has answered.

    Attributes:
        output: the answer.
        changes: whether the network changes it in place.
    """

    output: Any
    changes: bool

    def again(self) -> Any:
        """The answer, of which nothing that the network does is left."""
        return tree_map_only(Tensor, Tensor.clone, self.output) if self.changes else self.output


@contextmanager
def _replayed(module: nn.Module, known: Sequence[_Answer]) -> Iterator[None]:
    """The first calls of a module return what is known; later ones run it."""
    waiting, original, own = list(known), module.forward, vars(module).get("forward")

    def replay(*args: Any, **kwargs: Any) -> Any:
        return waiting.pop(0).again() if waiting else original(*args, **kwargs)

    module.forward = replay
    try:
        yield
    finally:
        if own is None:
            del module.forward
        else:
            module.forward = own


def _versions(output: Any) -> list[int]:
    """How often each tensor was changed in place; none of inference mode's, which do not count."""
    tensors = [leaf for leaf in tree_leaves(output) if isinstance(leaf, Tensor)]
    return [] if any(t.is_inference() for t in tensors) else [t._version for t in tensors]
