"""Step 3: what each channel of a trained network's latent does, and how channels are ranked."""

from pydantic import Field

from posinfo.experiment import Cell, Inputs, Result
from posinfo.experiments.channel_attack.scenes import LAYOUT_FREE, scenes_of
from posinfo.experiments.channel_attack.train import logits_shape, trained_segmenter
from posinfo.measures.channel_rankings import channel_rows
from posinfo.measures.channel_statistics import ChannelStatistics, channel_statistics
from posinfo.networks.models.segmenters import SegmenterConfig
from posinfo.networks.models.trained_file import trained_colours
from posinfo.networks.training.segmentation import LabelledPixels
from posinfo.work import Work


class ChannelsCell(Cell):
    """A trained network.

    Attributes:
        network: how it is built.
        classes: number of logits.
        size: height and width of the images in pixels.
    """

    network: SegmenterConfig
    classes: int
    size: tuple[int, int] = Field(exclude=True)

    def check(self) -> None:
        """Whether the latent is maps, see ``logits_shape``."""
        logits_shape(self.network, self.classes, self.size)  # type: ignore[arg-type]


def run(cell: ChannelsCell, inputs: Inputs, work: Work) -> Result:
    """The tensors of ``ChannelStatistics``, over the split ``ranking`` and over textures.

    Returns:
        A row per channel, see ``channel_rows``.
    """
    colours = trained_colours(inputs["network"].tensors)
    network = trained_segmenter(cell.network, cell.classes, inputs["network"], work)
    ranking = scenes_of(inputs["scenes"], "ranking", work, colours)
    layout_free = scenes_of(inputs["scenes"], LAYOUT_FREE, work, colours)
    work.on_total(len(ranking.pixels) + len(layout_free.pixels))

    def batches(data: LabelledPixels):
        return (data.images(batch) for batch in data.batches())

    statistics = channel_statistics(
        network, cell.network.latent, batches(ranking), batches(layout_free), work
    )
    return Result(tensors=statistics.tensors(), rows=channel_rows(statistics))


def statistics_of(result: Result) -> ChannelStatistics:
    """Those of this step's result."""
    return ChannelStatistics(**result.tensors)
