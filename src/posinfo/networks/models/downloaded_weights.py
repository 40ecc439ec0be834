"""Weights that are downloaded: torchvision's of ImageNet, and those that timm calls pretrained."""

from functools import lru_cache
from typing import Any
from urllib.error import URLError

import timm
import torch
import torchvision
from torch import nn
from torchvision.models import WeightsEnum, get_model, get_model_weights, list_models

from posinfo.choices import check
from posinfo.networks.models.architectures import TIMM, is_timm
from posinfo.networks.models.normalisation import Colours

BY_HAND = "download them by hand and give their path as weights"


def imagenet_network(arch: str) -> nn.Module:
    """A network of torchvision with its ImageNet weights; a ``ValueError`` if there are none."""
    return get_model(arch, weights=imagenet_fetched(arch)).eval()


@lru_cache(maxsize=256)
def imagenet_fetched(arch: str) -> WeightsEnum:
    """Downloaded once, with progress and a checksum, to torch.hub's folder.

    Raises:
        ValueError: torchvision has none, or they could not be had.
    """
    release = imagenet_release(arch)
    try:
        release.get_state_dict(progress=True, check_hash=True)
    except (URLError, RuntimeError) as error:
        raise ValueError(
            f"weights 'imagenet' could not be had from {release.url} ({error}); {BY_HAND}"
        ) from error
    return release


def imagenet_release(arch: str) -> WeightsEnum:
    """Those of the first recipe; two networks have none but SWAG's, at 224 px.

    Raises:
        ValueError: torchvision has no network of that name.
    """
    if is_timm(arch):
        raise ValueError(
            "weights 'imagenet' are those of torchvision's networks, timm's are 'pretrained'; "
            f"got arch {arch!r}"
        )
    check("arch (of weights 'imagenet')", arch, list_models(module=torchvision.models))
    releases = get_model_weights(arch)
    return next((r for r in releases if r.name == "IMAGENET1K_V1"), list(releases)[-1])


def imagenet_colours(arch: str) -> Colours:
    """Mean and standard deviation of the images that the weights expect."""
    preset = imagenet_release(arch).transforms()
    return tuple(preset.mean), tuple(preset.std)


def pretrained_network(arch: str) -> nn.Module:
    """A network of timm with the weights of its tag, or of the first; downloaded once.

    Raises:
        ValueError: timm has none, or they could not be had.
    """
    address = pretrained_address(arch)
    try:
        with torch.random.fork_rng(devices=[]):
            return timm.create_model(arch.removeprefix(TIMM), pretrained=True).eval()
    except (OSError, RuntimeError) as error:
        raise ValueError(
            f"weights 'pretrained' of arch {arch!r} could not be had from {address} ({error}); "
            f"{BY_HAND}"
        ) from error


def pretrained_address(arch: str) -> str:
    """Where they are downloaded from, and their tag; a ``ValueError`` if timm has none."""
    if not is_timm(arch):
        raise ValueError(
            "weights 'pretrained' are those of arch timm/NAME, torchvision's are 'imagenet'; "
            f"got arch {arch!r}"
        )
    if not timm.is_model_pretrained(arch.removeprefix(TIMM)):
        raise ValueError(f"timm has no pretrained weights of arch {arch!r}")
    hub = _configured(arch, "hf_hub_id")
    return f"https://huggingface.co/{hub}" if hub else _configured(arch, "url")


def pretrained_key(arch: str) -> str:
    """Changes with the address and the tag; a ``ValueError`` if timm has none."""
    return f"{pretrained_address(arch)} {_configured(arch, 'tag')}"


def pretrained_colours(arch: str) -> Colours:
    """Mean and standard deviation of the images that a network of timm expects."""
    return _configured(arch, "mean"), _configured(arch, "std")


def _configured(arch: str, key: str) -> Any:
    return timm.get_pretrained_cfg_value(arch.removeprefix(TIMM), key)
