"""Step 4: the network without some of its channels."""

import io

import pandas as pd
import torch
from jaxtyping import UInt8
from pydantic import Field
from torch import Tensor, nn

from posinfo.experiment import Cell, Inputs, Result
from posinfo.experiments.channel_attack.channels import statistics_of
from posinfo.experiments.channel_attack.planned_attacks import (
    AttackConfig,
    numbers_of,
    planned_attacks,
)
from posinfo.experiments.channel_attack.scenes import scenes_of
from posinfo.experiments.channel_attack.train import count_pixels, score, trained_segmenter
from posinfo.measures.channel_attack import attack, region_parts
from posinfo.measures.channel_rankings import ranked_channels
from posinfo.measures.segmentation import border_rings, mean_iou
from posinfo.networks.models.segmenters import SegmenterConfig
from posinfo.networks.models.trained_file import trained_colours
from posinfo.networks.surgery.ablation import ablated
from posinfo.networks.training.segmentation import LabelledPixels, predict_pixels
from posinfo.work import Work

ATTACKS = "attacks.csv"
PREVIEWED = 4  # images whose predictions are kept


class AttackCell(Cell):
    """A trained network and what is silenced in it.

    Attributes:
        network: how it is built.
        classes: number of logits.
        attack: what is silenced.
        seed: of the network.
        size: height and width of the images in pixels.
        images: how many there are of each split.
    """

    network: SegmenterConfig
    classes: int
    attack: AttackConfig
    seed: int
    size: tuple[int, int] = Field(exclude=True)
    images: dict[str, int] = Field(exclude=True)

    def check(self) -> None:
        """Whether there are enough images, and pixels in every region and ring."""
        for name, protocol in self.attack.protocols.items():
            count = self.images.get(protocol.split, 0)
            if count < self.attack.groups:
                raise ValueError(
                    f"attack.protocols.{name}: {count} images of {protocol.split} are fewer than "
                    f"attack.groups ({self.attack.groups})"
                )
        border_rings(self.size, self.attack.rings)
        region_parts(self.size, self.attack.regions)


def run(cell: AttackCell, inputs: Inputs, work: Work) -> Result:
    """Confusion matrices under every attack.

    Returns:
        ``attacks.csv``, a row per protocol and attack, see ``planned_attacks``; in the same order
        ``confusions`` (attacks, groups, regions, k, k) int32. A row with the mean IoU of the
        intact network in each region and protocol, and on the mirrored test scenes.
        ``predictions`` (2, p, h, w), the classes in ``PREVIEWED`` test scenes before and after
        the largest attack of the first ranking. ``rings`` (r, k, k), pixels of the test scenes by
        ring around the middle, the outermost first, right class and class that the intact network
        predicts.
    """
    colours = trained_colours(inputs["network"].tensors)
    network = trained_segmenter(cell.network, cell.classes, inputs["network"], work)
    statistics = statistics_of(inputs["channels"])
    config, frames, confusions, row = cell.attack, [], [], {}
    scenes = {
        name: scenes_of(inputs["scenes"], protocol.split, work, colours)
        for name, protocol in config.protocols.items()
    }
    work.on_total(sum(len(data.pixels) for data in scenes.values()))
    for name, protocol in config.protocols.items():
        planned, attacks = planned_attacks(statistics, config, protocol.draws, protocol.matched)
        counts = attack(
            network, cell.network.latent, scenes[name], attacks,
            means=statistics.z.mean(0), regions=config.regions, classes=cell.classes,
            groups=config.groups, work=work,
        )  # fmt: skip
        frames.append(planned.assign(protocol=name))
        confusions.append(counts.int())
        for region, miou in zip(config.regions, mean_iou(counts[0].sum(0)).tolist(), strict=True):
            row[f"miou_{name}_{region}"] = miou
    test = scenes_of(inputs["scenes"], "test", work, colours)
    row["miou_mirrored"] = score(network, test._replace(mirrored=True), cell.classes, work)
    order = ranked_channels(statistics, config.rankings[0])
    table = pd.concat(frames, ignore_index=True)
    return Result(
        tensors={
            "confusions": torch.cat(confusions),
            **_looked_at(cell, network, test, order, work),
        },
        rows=pd.DataFrame([{**row, "seed": cell.seed, "n": len(test.pixels)}]),
        history=inputs["network"].history,
        files={ATTACKS: table.to_csv(index=False).encode()},
    )


def _looked_at(
    cell: AttackCell, network: nn.Module, test: LabelledPixels, order: Tensor, work: Work
) -> dict[str, Tensor]:
    """``predictions`` before and after the largest attack, and the intact network's ``rings``."""
    largest = max(numbers_of(len(order), cell.attack))
    before_and_after = [
        _predicted(network, cell.network.latent, test, order[:number], work)
        for number in (0, largest)
    ]
    rings = border_rings(cell.size, cell.attack.rings).to(work.device)
    return {
        "predictions": torch.stack(before_and_after),
        "rings": count_pixels(network, test, cell.classes, work, rings),
    }


def attacks_of(result: Result) -> pd.DataFrame:
    """The table of this step's result."""
    return pd.read_csv(io.BytesIO(result.files[ATTACKS]), keep_default_na=False)


def _predicted(
    network: nn.Module, layer: str, data: LabelledPixels, channels: Tensor, work: Work
) -> UInt8[Tensor, "p h w"]:
    few = data._replace(pixels=data.pixels[:PREVIEWED], labels=data.labels[:PREVIEWED])
    with ablated(network, layer, channels.tolist()):
        predictions = [predicted for predicted, _ in predict_pixels(network, few, work)]
    return torch.cat(predictions).byte().cpu()
