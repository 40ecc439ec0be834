"""Networks by name: torchvision's and timm's classifiers, ours, or a function of the user's."""

import importlib
import importlib.util
import re
from collections.abc import Callable
from difflib import get_close_matches
from functools import partial
from typing import Annotated

import timm
import torch
import torchvision
from pydantic import AfterValidator
from torch import nn
from torchvision.models import get_model, list_models

from posinfo.choices import check
from posinfo.networks.models.narrow_networks import bagnet33, narrow_densenet121, narrow_resnet18
from posinfo.networks.models.resnet18 import (
    canvas_resnet18,
    cifar_resnet18,
    segmenter_resnet18,
)
from posinfo.networks.models.shift_invariant import blurred_resnet18, fully_padded

IMAGE = "image"
TIMM = "timm/"
NEAR = 3  # names of timm's that a message lists
_WITH_WIDTH = re.compile(r"(\w+)\(width=([1-9]\d*)\)")

# Without it, torchvision warns that its initialisation of these two will change.
_INITIALISED = {"googlenet": {"init_weights": True}, "inception_v3": {"init_weights": True}}


def architectures() -> list[str]:
    """Names without timm's: ``image``, which is no network, ours, and torchvision's classifiers."""
    return [IMAGE, *OWN, *list_models(module=torchvision.models)]


def is_custom(arch: str) -> bool:
    """Whether an arch names a function of the user's own: ``package.module:function``."""
    return ":" in arch


def is_timm(arch: str) -> bool:
    """Whether an arch names a network of timm: ``timm/NAME`` or ``timm/NAME.TAG``."""
    return arch.startswith(TIMM)


def user_modules(arch: str) -> tuple[str, ...]:
    """The module of a function of the user's own and its packages; none for other networks."""
    parts = arch.partition(":")[0].split(".") if is_custom(arch) else []
    names = [".".join(parts[:count]) for count in range(1, len(parts) + 1)]
    specs = {name: importlib.util.find_spec(name) for name in names}
    # a package without __init__.py has no code of its own
    return tuple(name for name, spec in specs.items() if spec is None or spec.origin)


def check_arch(arch: str) -> str:
    """The arch itself, when it can be built, see ``build_network``; nothing is built.

    Raises:
        ValueError: an unknown name, or a function that cannot be imported.
    """
    if is_custom(arch):
        _imported(arch)
        return arch
    if is_timm(arch):
        return _check_timm(arch)
    known = architectures()
    name, width = _name_and_width(arch)
    if name in known and (width is None or name in OWN):
        return arch
    widths = [f"{own}(width=N)" for own in OWN]
    return check("arch", arch, [*known, *widths, "timm/NAME", "package.module:function"])


ArchName = Annotated[str, AfterValidator(check_arch)]


def check_network(arch: str) -> str:
    """See ``check_arch``; ``image`` is refused, too."""
    if arch == IMAGE:
        raise ValueError("arch 'image' is no network: it can be read by posenet alone")
    return check_arch(arch)


NetworkName = Annotated[str, AfterValidator(check_network)]


def build_network(arch: str) -> nn.Module:
    """A network in evaluation mode with the weights of its own initialisation.

    Args:
        arch: one of ``architectures()``; one of ``OWN`` with a width, ``NAME(width=16)``; a network
            of timm, ``timm/NAME``, or ``timm/NAME.TAG`` to choose among its pretrained weights; or
            ``package.module:function``: a function that takes no arguments and returns a network.

    Raises:
        TypeError: the function returns something else.
        ValueError: see ``check_arch``.
    """
    check_arch(arch)
    name, width = _name_and_width(arch)
    if name in OWN:
        return (OWN[name](width) if width else OWN[name]()).eval()
    if is_timm(arch):
        return timm.create_model(arch.removeprefix(TIMM)).eval()
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


def _check_timm(arch: str) -> str:
    names = [TIMM + name for name in (*timm.list_models(), *timm.list_pretrained())]
    if arch in names:
        return arch
    near = get_close_matches(arch, names, n=NEAR)  # all of them would be 3,000
    return check("arch", arch, [*near, "timm/ and one of timm.list_models()"])


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


def _name_and_width(arch: str) -> tuple[str, int | None]:
    found = _WITH_WIDTH.fullmatch(arch)
    return (found[1], int(found[2])) if found else (arch, None)


OWN: dict[str, Callable[..., nn.Module]] = {
    "bagnet33": bagnet33,
    "canvas_resnet18": canvas_resnet18,
    "canvas_resnet18_fconv": partial(fully_padded, canvas_resnet18),
    "cifar_resnet18": cifar_resnet18,
    "cifar_resnet18_blurpool": blurred_resnet18,
    "cifar_resnet18_fconv": partial(fully_padded, cifar_resnet18),
    "narrow_densenet121": narrow_densenet121,
    "narrow_resnet18": narrow_resnet18,
    "narrow_resnet18_fconv": partial(fully_padded, narrow_resnet18),
    "segmenter_resnet18": segmenter_resnet18,
}
