"""A classifier with its head, asked for the class of every window of an image."""

import torch
from jaxtyping import Int64, UInt8
from torch import Tensor, nn

from posinfo.choices import Section, Seed
from posinfo.networks.models.architectures import NetworkName, sketch_network
from posinfo.networks.models.embedded_weights import EMBEDDED
from posinfo.networks.models.normalisation import normalise
from posinfo.networks.models.weights import check_source, load_network, own_colours
from posinfo.networks.readouts.features import batch_size
from posinfo.networks.surgery.dry_run import dry_run
from posinfo.networks.surgery.legal_size import require_legal
from posinfo.networks.surgery.padding import PaddingName, repad
from posinfo.work import Work


class WholeNetworkConfig(Section):
    """A classifier.

    Attributes:
        arch: see ``posinfo.networks.models.architectures``.
        weights: see ``check_source``; with the classifier's own.
        padding: one of ``PADDINGS``.
        padding_layers: names of the layers whose padding is changed; empty: all.
        seed: of untrained weights.
    """

    arch: NetworkName
    weights: str
    padding: PaddingName
    padding_layers: tuple[str, ...] = ()
    seed: Seed = 0

    def check(self, image_size: int) -> None:
        """Whether it classifies such images; a dry run on shapes.

        Args:
            image_size: side of the images in pixels.

        Raises:
            FileNotFoundError, ValueError: weights that are missing or do not fit, images that are
                too small, or a network that returns anything but logits (n, k).
        """
        check_source(self.arch, self.weights, frozenset(sketch_network(self.arch).state_dict()))
        if self.weights in EMBEDDED and not EMBEDDED[self.weights].classifies:
            raise ValueError(f"weights {self.weights!r} come without those of the classifier")

        def logits(network: nn.Module, images: Tensor) -> None:
            repadded = repad(network, self.padding, self.padding_layers)
            classes_of(repadded(images), f"arch {self.arch!r}")

        name = f"arch {self.arch!r} with padding {self.padding!r}"
        require_legal(lambda size: dry_run(self.arch, size, logits), image_size, name, "image_size")


def predict_windows(
    config: WholeNetworkConfig,
    pixels: UInt8[Tensor, "n 3 h w"],
    offsets: list[int],
    side: int,
    work: Work,
) -> Int64[Tensor, "n k k"]:
    """The class of each window of each image.

    Args:
        config: the classifier.
        pixels: RGB values 0..255.
        offsets: rows, and columns, at which windows start, in pixels.
        side: of the windows in pixels.
        work: its ``device`` computes, in float32: rounded logits would tie. ``on_total`` and
            ``on_progress`` count windows.
    """
    network = load_network(config.arch, config.weights, config.seed)
    network = repad(network, config.padding, config.padding_layers)
    network.to(work.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    own = own_colours(config.arch, config.weights)
    work.on_total(len(pixels) * len(offsets) ** 2)
    rows = []
    for images in pixels.split(batch_size(work.device)):
        shown, classes = images.to(work.device), []
        for y, x in [(y, x) for y in offsets for x in offsets]:
            window = normalise(shown[:, :, y : y + side, x : x + side], "imagenet", own)
            with torch.inference_mode():
                logits = network(window.contiguous(memory_format=torch.channels_last))
            classes.append(classes_of(logits, f"arch {config.arch!r}").cpu())
            work.on_progress(len(images))
        rows.append(torch.stack(classes, 1).view(len(images), len(offsets), len(offsets)))
    return torch.cat(rows)


def classes_of(logits: object, name: str) -> Int64[Tensor, " n"]:
    """The class with the largest logit.

    Args:
        logits: what a network returns, (n, k).
        name: of the network, for the message.

    Raises:
        ValueError: it returns something else.
    """
    if not isinstance(logits, Tensor) or logits.ndim != 2:
        shape = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
        raise ValueError(f"{name} must return logits (n, k); got {shape}")
    return logits.float().argmax(1)
