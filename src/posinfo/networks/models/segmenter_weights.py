"""Where a whole segmentation network's weights come from: torchvision, its function or a file."""

from collections.abc import Mapping
from pathlib import Path
from urllib.error import URLError

import torchvision.models.segmentation as torchvision_segmentation
from torch import Tensor, nn
from torchvision.models import WeightsEnum, get_model_weights, list_models

from posinfo.choices import check
from posinfo.networks.models.architectures import is_custom
from posinfo.networks.models.downloaded_weights import BY_HAND
from posinfo.networks.models.normalisation import IMAGENET_MEAN, IMAGENET_STD, Colours
from posinfo.networks.models.segmenters import SegmenterConfig, build_segmenter
from posinfo.networks.models.state_file import (
    SUFFIXES,
    file_key,
    fitting_state,
    is_state_file,
    stored_colours,
)

AS_BUILT = "as-built"
AUXILIARY = "aux_classifier."  # a second head that helps in training


def segmenter_weights_key(config: SegmenterConfig, setting: str) -> str:
    """Changes with what the weights hold; nothing is downloaded.

    Args:
        config: the network; its ``weights`` are the path of a state dict with the head, in
            torchvision's layout or in that of the paper's released code (``model_state`` with
            ``backbone.*`` and ``classifier.classifier.*``); a name that torchvision has for the
            arch, such as ``COCO_WITH_VOC_LABELS_V1``; ``as-built``: those that a function of the
            user's own comes with; or empty: it is to be trained.
        setting: that holds the weights, for messages.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: there are no such weights of the arch.
    """
    if not config.weights:
        return ""
    if is_state_file(config.weights):
        return file_key(Path(config.weights), setting)
    if is_custom(config.arch):
        return check(setting, config.weights, [AS_BUILT, _files()])
    return _release(config, setting).url


def load_segmenter(config: SegmenterConfig, classes: int, seed: int = 0) -> nn.Module:
    """A network with its weights, in evaluation mode. An auxiliary head is left out.

    Args:
        config: see ``segmenter_weights_key``; with weights.
        classes: number of logits.
        seed: of what a function of the user's own draws.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the weights cannot be read or had, or do not fit, be it for another number of
            classes.
    """
    network = build_segmenter(config, classes, seed)
    if is_state_file(config.weights):
        expected = network.state_dict()
        path, needed = Path(config.weights), frozenset(expected)
        state = fitting_state(path, expected, needed, left_out=(AUXILIARY,))
        network.load_state_dict(state)
    elif not is_custom(config.arch):
        network.load_state_dict(_downloaded(config, classes))
    return network.eval()


def segmenter_colours(config: SegmenterConfig) -> Colours:
    """Mean and standard deviation of the images that the weights expect.

    Those that the file holds, those of the network's pretrained trunk, or ImageNet's.
    """
    stored = stored_colours(Path(config.weights)) if is_state_file(config.weights) else None
    return stored or config.colours or (IMAGENET_MEAN, IMAGENET_STD)


def _downloaded(config: SegmenterConfig, classes: int) -> Mapping[str, Tensor]:
    release = _release(config, "weights")
    known = len(release.meta["categories"])
    if known != classes:
        raise ValueError(
            f"weights {config.weights!r} of arch {config.arch!r} have {known} classes, the labels "
            f"have {classes}"
        )
    try:
        state = release.get_state_dict(progress=True, check_hash=True)
    except (URLError, RuntimeError) as error:
        raise ValueError(
            f"weights {config.weights!r} could not be had from {release.url} ({error}); {BY_HAND}"
        ) from error
    return {name: tensor for name, tensor in state.items() if not name.startswith(AUXILIARY)}


def _release(config: SegmenterConfig, setting: str) -> WeightsEnum:
    named = config.arch in list_models(module=torchvision_segmentation)
    releases = {each.name: each for each in get_model_weights(config.arch)} if named else {}
    return releases[check(setting, config.weights, [*releases, _files()])]


def _files() -> str:
    return "a path ending in " + ", ".join(SUFFIXES)
