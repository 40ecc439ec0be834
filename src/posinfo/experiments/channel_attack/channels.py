"""Step 3: what each channel of a trained network's latent does, and how channels are ranked."""

import pandas as pd

from posinfo.experiment import Cell, Inputs, Result
from posinfo.experiments.channel_attack.scenes import LAYOUT_FREE, scenes_of
from posinfo.experiments.channel_attack.train import trained_segmenter
from posinfo.measures.channel_rankings import ranked_channels
from posinfo.measures.channel_statistics import ChannelStatistics, channel_statistics
from posinfo.networks.models.segmenters import SegmenterConfig
from posinfo.networks.models.trained_file import trained_colours
from posinfo.networks.training.segmentation import LabelledPixels
from posinfo.work import Work

LISTED = ("overall", "left", "right", "probe")  # rankings in channel_ranking.csv


class ChannelsCell(Cell):
    """A trained network.

    Attributes:
        network: how it is built.
        classes: number of logits.
    """

    network: SegmenterConfig
    classes: int


def run(cell: ChannelsCell, inputs: Inputs, work: Work) -> Result:
    """The tensors of ``ChannelStatistics``, over the split ``ranking`` and over textures.

    Returns:
        A row per channel: ``channel, mean_abs_difference, mean_signed_difference, rms, probe_x,
        probe_y`` and ``rank_RANKING``, 0 for the first, for each of ``LISTED``.
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
    return Result(tensors=statistics.tensors(), rows=_rows(statistics))


def statistics_of(result: Result) -> ChannelStatistics:
    """Those of this step's result."""
    return ChannelStatistics(**result.tensors)


def _rows(statistics: ChannelStatistics) -> pd.DataFrame:
    difference = statistics.z.double() - statistics.z_mirrored.double()
    values = {
        "mean_abs_difference": difference.abs().mean(0),
        "mean_signed_difference": difference.mean(0),
        **{name: getattr(statistics, name) for name in ("rms", "probe_x", "probe_y")},
        # the place of each channel in an order is the order of the order
        **{f"rank_{name}": ranked_channels(statistics, name).argsort() for name in LISTED},
    }
    rows = pd.DataFrame({name: column.numpy() for name, column in values.items()})
    return rows.rename_axis("channel").reset_index()
