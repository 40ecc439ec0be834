"""Step 1: street scenes of every split, or photographs, and images without a layout."""

import numpy as np
import torch
from pydantic import Field

from posinfo.choices import Section
from posinfo.experiment import Cell, Inputs, Result
from posinfo.networks.models.normalisation import Colours
from posinfo.networks.models.trained_file import colours_of
from posinfo.networks.training.segmentation import LabelledPixels
from posinfo.stimuli.labelled_images import mean_colours
from posinfo.stimuli.labelled_photographs import LabelledPhotograph, Size, read_labelled
from posinfo.stimuli.scene_textures import layout_free_images
from posinfo.stimuli.scenes import ScenesConfig, draw_scenes
from posinfo.stimuli.segmentation_sets import SEGMENTATION_SETS
from posinfo.work import Work

LAYOUT_FREE = "layout_free"
LEARNED_FROM = ("train", "validation")  # splits; the others are shown to trained networks


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
        counts: how many there are of some splits, by name.
    """

    scenes: ScenesConfig
    counts: dict[str, int]


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
    """Tensors ``SPLIT.pixels`` (n, 3, h, w), ``SPLIT.labels`` (n, h, w).

    ``layout_free`` has no labels. Beside train scenes, ``mean`` and ``std`` of their colours.
    """
    counts, tensors = dict(cell.counts), {}
    if LAYOUT_FREE in counts:
        size = cell.scenes.height, cell.scenes.width
        free = layout_free_images(counts.pop(LAYOUT_FREE), size)
        tensors[f"{LAYOUT_FREE}.pixels"] = torch.from_numpy(free)
    work.on_total(sum(counts.values()))
    for split, count in counts.items():
        scenes = draw_scenes(cell.scenes, split, count)
        tensors[f"{split}.pixels"] = torch.from_numpy(scenes.pixels)
        tensors[f"{split}.labels"] = torch.from_numpy(scenes.labels)
        work.on_progress(count)
    if "train" in counts:
        tensors["mean"], tensors["std"] = mean_colours(tensors["train.pixels"])
    return Result(tensors=tensors)


def _photographed(cell: PhotographsCell, work: Work) -> Result:
    """Arrays ``SPLIT.pixels`` and ``SPLIT.labels`` of ``ranking`` and ``test``.

    Which photographs are whose, see ``SegmentationSet.ranking``.
    """
    known, arrays = SEGMENTATION_SETS[cell.dataset], {}
    work.on_total(len(cell.files))
    for split, files in known.splits(cell.files).items():
        # read twice, for pixels and for labels: an array is written from beginning to end
        for part, index in (("pixels", 0), ("labels", 1)):
            shape = (len(files), *((3,) if part == "pixels" else ()), *cell.size)
            batches = (
                read_labelled(pair, known.classes_of, cell.size)[index][None] for pair in files
            )
            arrays[f"{split}.{part}"] = work.array(f"{split}.{part}", shape, np.uint8, batches)
        work.on_progress(len(files))
    free = torch.from_numpy(layout_free_images(cell.layout_free, cell.size))
    return Result(arrays=arrays, tensors={f"{LAYOUT_FREE}.pixels": free})


def scenes_of(
    result: Result, split: str, work: Work, colours: Colours | None = None
) -> LabelledPixels:
    """The images of a split; ``layout_free`` has labels of 0.

    Scenes lie on the device of the work; photographs come to it batch by batch.

    Args:
        result: of this step.
        split: of scenes, or ``layout_free``.
        work: its device.
        colours: that a network was trained with; None: those of the train scenes, which must be in
            the result.
    """
    colours = colours or colours_of(result.tensors["mean"], result.tensors["std"])
    pixels, labels = pixels_of(result, split)
    if isinstance(pixels, torch.Tensor):
        pixels = pixels.to(work.device)
        labels = torch.as_tensor(labels).to(work.device)
    return LabelledPixels(pixels, labels, colours, work.device)


def pixels_of(
    result: Result, split: str
) -> tuple[torch.Tensor | np.ndarray, torch.Tensor | np.ndarray]:
    """RGB values (n, 3, h, w) and labels (n, h, w) of a split; ``layout_free`` has labels of 0."""
    if f"{split}.pixels" in result.arrays:
        return result.arrays[f"{split}.pixels"], result.arrays[f"{split}.labels"]
    pixels = result.tensors[f"{split}.pixels"]
    labels = result.tensors.get(f"{split}.labels")
    if labels is None:
        labels = torch.zeros(len(pixels), *pixels.shape[2:], dtype=torch.uint8)
    return pixels, labels
