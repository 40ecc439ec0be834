"""Networks by name: torchvision's classification networks, or a function of the user's own."""

import importlib
from collections.abc import Callable

import torch
import torchvision
from torch import nn
from torchvision.models import get_model, list_models

from posinfo.choices import check

IMAGE = "image"

# Without it, torchvision warns that its initialisation of these two will change.
_INITIALISED = {"googlenet": {"init_weights": True}, "inception_v3": {"init_weights": True}}


def architectures() -> list[str]:
    """``image``, which is no network at all, and every classification network of torchvision."""
    return [IMAGE, *list_models(module=torchvision.models)]


def is_custom(arch: str) -> bool:
    """Whether it names a function of the user's own: ``package.module:function``."""
    return ":" in arch


def check_arch(arch: str) -> str:
    """The name itself, when it can be built.

    Raises:
        ValueError: an unknown name, or a function that cannot be imported.
    """
    if is_custom(arch):
        _imported(arch)
        return arch
    known = architectures()
    if arch in known:
        return arch
    return check("arch", arch, [*known, "package.module:function"])


def build_network(arch: str) -> nn.Module:
    """A network in evaluation mode with the weights of its own initialisation.

    Args:
        arch: one of ``architectures()``, or ``package.module:function``: a function that takes
            no arguments and returns a network.

    Raises:
        TypeError: the function returns something else.
        ValueError: see ``check_arch``.
    """
    check_arch(arch)
    if not is_custom(arch):
        return get_model(arch, weights=None, **_INITIALISED.get(arch, {})).eval()
    network = _imported(arch)()
    if not isinstance(network, nn.Module):
        raise TypeError(f"arch {arch!r} must return a torch.nn.Module; got {type(network)}")
    return network.eval()


def sketch_network(arch: str) -> nn.Module:
    """The network on the meta device: shapes and names, no memory and no weights."""
    with torch.random.fork_rng(devices=[]):
        try:
            with torch.device("meta"):
                return build_network(arch)
        except (NotImplementedError, RuntimeError, TypeError):  # some compute with tensors
            return build_network(arch).to("meta")


def _imported(arch: str) -> Callable[[], object]:
    module, _, function = arch.partition(":")
    try:
        found = getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError, ValueError) as error:
        raise ValueError(
            f"arch {arch!r} cannot be imported ({error}); "
            "package.module:function must name a function that Python finds from this folder"
        ) from error
    if not callable(found):
        raise ValueError(f"arch {arch!r} is no function but {type(found)}")
    return found
