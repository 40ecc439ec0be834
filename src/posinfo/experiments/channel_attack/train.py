"""Step 2: a segmentation network is trained on scenes, or read from a file."""

from functools import lru_cache

import torch
from jaxtyping import Int64
from pydantic import Field
from torch import Tensor, nn

from posinfo.experiment import Cell, Inputs, Result
from posinfo.experiments.channel_attack.scenes import LEARNED_FROM, scenes_of
from posinfo.experiments.trained_network import MEAN_IOU, load_trained, trained_result
from posinfo.measures.segmentation import PixelCounter, mean_iou
from posinfo.networks.models.architectures import is_custom
from posinfo.networks.models.segmenter_weights import load_segmenter, segmenter_colours
from posinfo.networks.models.segmenters import SegmenterConfig, build_segmenter
from posinfo.networks.models.trained_file import with_colours
from posinfo.networks.surgery.latent import require_maps
from posinfo.networks.surgery.padding_mode import MapTooSmallError
from posinfo.networks.training.config import TrainingConfig
from posinfo.networks.training.segmentation import (
    LabelledPixels,
    logits_of,
    predict_pixels,
    train_segmenter,
)
from posinfo.work import Work


class SegmenterCell(Cell):
    """A network and how it is trained, or where its weights are.

    Attributes:
        network: how it is built.
        classes: number of logits.
        weights: key of what its weights come from; empty: it is trained.
        training: the protocol; None: it is not trained.
        seed: of weights, order and flips.
        size: height and width of the images in pixels.
    """

    network: SegmenterConfig
    classes: int
    weights: str
    training: TrainingConfig | None
    seed: int
    size: tuple[int, int] = Field(exclude=True)

    def check(self) -> None:
        """Whether weights, logits and images fit, by a dry run on shapes."""
        if self.weights:
            load_segmenter(self.network, self.classes, self.seed)
        shape = logits_shape(self.network, self.classes, self.size)  # type: ignore[arg-type]
        if shape[2:] != self.size:
            raise ValueError(
                f"arch {self.network.arch!r} must return a logit for each pixel: of images of "
                f"{self.size[0]} x {self.size[1]} px it returns {shape}"
            )


@lru_cache(maxsize=256)  # cells that differ in their seeds alone have one answer
def logits_shape(config: SegmenterConfig, classes: int, size: tuple[int, int]) -> tuple[int, ...]:
    """Of the logits for an image, found by a dry run on shapes.

    Raises:
        ValueError: its latent is no maps, see ``require_maps``, the images are too small, or its
            answer has no logits, see ``logits_of``.
    """
    # a pretrained trunk is real all the same, and a function of the user's may compute
    with torch.device("cpu" if is_custom(config.arch) else "meta"):
        network = build_segmenter(config, classes, seed=0).eval().to("meta")
    images = torch.zeros(1, 3, *size, device="meta")
    try:
        answer = require_maps(network, config.latent, images, f"arch {config.arch!r}")
    except MapTooSmallError as error:
        raise ValueError(
            f"images of {size[0]} x {size[1]} px are too small: {error}; raise "
            "channel_attack.scenes.height and width, if they are scenes"
        ) from error
    return tuple(logits_of(answer, classes).shape)


def run(cell: SegmenterCell, inputs: Inputs, work: Work) -> Result:
    """See ``trained_result``; a ``FloatingPointError`` if the training diverged.

    Of a network that is not trained, the weights alone.
    """
    if cell.training is None:
        loaded = load_segmenter(cell.network, cell.classes, cell.seed).state_dict()
        colours = map(torch.tensor, segmenter_colours(cell.network))
        return Result(tensors=with_colours(loaded, *colours))
    own = cell.network.colours
    train, validation = (scenes_of(inputs["scenes"], name, work, own) for name in LEARNED_FROM)
    network = build_segmenter(cell.network, cell.classes, cell.seed).to(work.device)
    fitted = train_segmenter(
        network,
        train,
        cell.training,
        validate=lambda: score(network, validation, cell.classes, work),
        seed=cell.seed,
        work=work,
    )
    mean, std = map(torch.tensor, train.colours)
    return trained_result(network, fitted, mean, std, MEAN_IOU)


def trained_segmenter(
    config: SegmenterConfig, classes: int, trained: Result, work: Work
) -> nn.Module:
    """The network of this step's result, in evaluation mode."""
    network = build_segmenter(config, classes, seed=0)
    load_trained(network, trained)
    return network.to(work.device, memory_format=torch.channels_last).eval()  # type: ignore[call-overload]


def score(network: nn.Module, data: LabelledPixels, classes: int, work: Work) -> float:
    """Mean IoU over all images together."""
    return mean_iou(count_pixels(network, data, classes, work)[0]).item()


def count_pixels(
    network: nn.Module,
    data: LabelledPixels,
    classes: int,
    work: Work,
    parts: Int64[Tensor, "h w"] | None = None,
) -> Int64[Tensor, "p k k"]:
    """Pixels of all images by part (None: one), right class and predicted class, on the CPU."""
    counts = [
        PixelCounter(labels, classes, parts).count(predicted).sum(0)
        for predicted, labels in predict_pixels(network, data, work)
    ]
    return torch.stack(counts).sum(0).cpu()
