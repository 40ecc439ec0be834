"""Step 1: street scenes of every split, or photographs, and images without a layout."""

import numpy as np
import torch
from pydantic import Field

from posinfo.choices import Section
from posinfo.experiment import Cell, Inputs, Result
from posinfo.networks.models.normalisation import IMAGENET_MEAN, IMAGENET_STD, Colours
from posinfo.networks.models.trained_file import colours_of
from posinfo.networks.training.segmentation import LabelledPixels
from posinfo.stimuli.labelled_images import mean_colours
from posinfo.stimuli.labelled_photographs import LabelledPhotograph, Size, read_labelled
from posinfo.stimuli.scene_textures import layout_free_images
from posinfo.stimuli.scenes import ScenesConfig, draw_scenes
from posinfo.stimuli.segmentation_sets import SEGMENTATION_SETS
from posinfo.work import Work

LAYOUT_FREE = "layout_free"


class SceneCounts(Section):
    """How many images each split has.

    Attributes:
        train: that networks learn from.
        validation: scored after each epoch.
        ranking: that channels are ranked by.
        test: that attacks are measured on.
        unseen: the same, with the textures of photographs that no other split has.
        layout_free: images of one texture each, a multiple of 4.
    """

    train: int = Field(ge=2)
    validation: int = Field(ge=1)
    ranking: int = Field(ge=2)
    test: int = Field(ge=1)
    unseen: int = Field(ge=1)
    layout_free: int = Field(ge=4, multiple_of=4)


class ScenesCell(Cell):
    """Scenes of one kind.

    Attributes:
        scenes: what they are like.
        counts: how many there are.
    """

    scenes: ScenesConfig
    counts: SceneCounts


class PhotographsCell(Cell):
    """The photographs of a data set.

    Attributes:
        dataset: a key of ``SEGMENTATION_SETS``.
        content: of the files.
        size: that photographs are resized to.
        layout_free: images of one texture each, a multiple of 4.
        files: of photographs and labels.
    """

    dataset: str
    content: str
    size: Size
    layout_free: int
    files: tuple[LabelledPhotograph, ...] = Field(exclude=True)


def run(cell: ScenesCell | PhotographsCell, inputs: Inputs, work: Work) -> Result:
    """See ``_drawn`` and ``_photographed``."""
    if isinstance(cell, PhotographsCell):
        return _photographed(cell, work)
    return _drawn(cell, work)


def _drawn(cell: ScenesCell, work: Work) -> Result:
    """Tensors ``SPLIT.pixels`` (n, 3, h, w), ``SPLIT.labels`` (n, h, w), and the train colours.

    ``layout_free`` has no labels.
    """
    counts = cell.counts.model_dump()
    size = cell.scenes.height, cell.scenes.width
    free = layout_free_images(counts.pop(LAYOUT_FREE), size)
    tensors = {f"{LAYOUT_FREE}.pixels": torch.from_numpy(free)}
    work.on_total(sum(counts.values()))
    for split, count in counts.items():
        scenes = draw_scenes(cell.scenes, split, count)
        tensors[f"{split}.pixels"] = torch.from_numpy(scenes.pixels)
        tensors[f"{split}.labels"] = torch.from_numpy(scenes.labels)
        work.on_progress(count)
    mean, std = mean_colours(tensors["train.pixels"])
    return Result(tensors={**tensors, "mean": mean, "std": std})


def _photographed(cell: PhotographsCell, work: Work) -> Result:
    """Arrays ``SPLIT.pixels`` and ``SPLIT.labels`` of ``ranking`` and ``test``, ImageNet's colours.

    Which photographs are whose, see ``SegmentationSet.ranking``.
    """
    known, arrays = SEGMENTATION_SETS[cell.dataset], {}
    ranked = known.ranking(cell.files)
    work.on_total(len(cell.files))
    for split in ("ranking", "test"):
        pairs = zip(cell.files, ranked, strict=True)
        files = [pair for pair, ranks in pairs if ranks == (split == "ranking")]
        # read twice, for pixels and for labels: an array is written from beginning to end
        for part, index in (("pixels", 0), ("labels", 1)):
            shape = (len(files), *((3,) if part == "pixels" else ()), *cell.size)
            batches = (
                read_labelled(pair, known.classes_of, cell.size)[index][None] for pair in files
            )
            arrays[f"{split}.{part}"] = work.array(f"{split}.{part}", shape, np.uint8, batches)
        work.on_progress(len(files))
    colours = {"mean": torch.tensor(IMAGENET_MEAN), "std": torch.tensor(IMAGENET_STD)}
    free = torch.from_numpy(layout_free_images(cell.layout_free, cell.size))
    return Result(arrays=arrays, tensors={f"{LAYOUT_FREE}.pixels": free, **colours})


def scenes_of(
    result: Result, split: str, work: Work, colours: Colours | None = None
) -> LabelledPixels:
    """The images of a split; ``layout_free`` has labels of 0.

    Scenes lie on the device of the work; photographs come to it batch by batch.

    Args:
        result: of this step.
        split: of scenes, or ``layout_free``.
        work: its device.
        colours: that a network was trained with; None: those of the train scenes.
    """
    colours = colours or colours_of(result.tensors["mean"], result.tensors["std"])
    if f"{split}.pixels" in result.arrays:
        pixels, labels = (result.arrays[f"{split}.{part}"] for part in ("pixels", "labels"))
        return LabelledPixels(pixels, labels, colours, work.device)
    pixels = result.tensors[f"{split}.pixels"].to(work.device)
    labels = result.tensors.get(f"{split}.labels")
    if labels is None:
        labels = torch.zeros(len(pixels), *pixels.shape[2:], dtype=torch.uint8)
    return LabelledPixels(pixels, labels.to(work.device), colours, work.device)
