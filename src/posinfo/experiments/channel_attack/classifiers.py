"""The same attack on whole classifiers, shown photographs: two steps behind that of the images."""

from collections.abc import Iterator
from typing import Annotated

import numpy as np
import pandas as pd
import torch
from jaxtyping import Bool, Float, Int64, UInt8
from pydantic import Field
from torch import Tensor, nn

from posinfo.choices import Label, Section, WithoutNulls
from posinfo.experiment import Cell, Inputs, Result
from posinfo.experiments.channel_attack.channels import statistics_of
from posinfo.experiments.channel_attack.planned_attacks import AttackConfig, planned_attacks
from posinfo.measures.channel_rankings import channel_rows
from posinfo.measures.channel_statistics import channel_statistics
from posinfo.measures.classifier_attack import agreement, agreement_counts, classify_without
from posinfo.networks.models.normalisation import normalise
from posinfo.networks.models.weights import load_network, own_colours
from posinfo.networks.models.whole_network import WholeNetworkConfig
from posinfo.networks.readouts.features import batch_size
from posinfo.networks.surgery.dry_run import dry_run
from posinfo.networks.surgery.latent import require_maps
from posinfo.networks.surgery.legal_size import LARGEST_IMAGE
from posinfo.networks.surgery.padding import repad
from posinfo.stimuli.scene_textures import layout_free_images
from posinfo.work import Work

ATTACKS = "attacks.csv"
FEWEST = 4  # photographs
PHOTOGRAPHED = ("ranking", "test")  # splits; there are no unseen textures among photographs


class AttackedClassifier(WholeNetworkConfig):
    """A classifier with its weights.

    Attributes:
        layer: name of the layer whose output, maps, is the latent.
    """

    layer: str

    def check(self, image_size: int) -> None:
        """See ``WholeNetworkConfig.check``.

        Raises:
            FileNotFoundError, ValueError: the same; there is no such layer, or it has no maps.
        """
        super().check(image_size)

        def run(network: nn.Module, images: Tensor) -> None:
            require_maps(network, self.layer, images, f"arch {self.arch!r}")

        dry_run(self.arch, image_size, run)


class ClassifiersConfig(Section):
    """Which classifiers are attacked, and on which photographs of the section ``photos``.

    Attributes:
        image_size: side of the images in pixels.
        crops: of each embedded photograph; those of ``photos.test_dir`` are shown whole.
        labelled: whether ``photos.test_dir`` has a folder for each class, in the order of the
            logits, as ImageNet's validation images are kept for torchvision.
        networks: by label; null: none of this name.
    """

    image_size: int = Field(ge=8, le=LARGEST_IMAGE)
    crops: int = Field(ge=1)
    labelled: bool
    networks: Annotated[dict[Label, AttackedClassifier], WithoutNulls]


class ClassifierChannelsCell(Cell):
    """A classifier and the images that its channels are ranked by.

    Attributes:
        classifier: the network.
        weights: key of what the source of the weights holds.
        image_size: side of the images in pixels.
        layout_free: images of one texture each, a multiple of 4.
    """

    classifier: AttackedClassifier
    weights: str
    image_size: int
    layout_free: int

    def check(self) -> None:
        """See ``AttackedClassifier.check``."""
        self.classifier.check(self.image_size)


class ClassifierAttackCell(ClassifierChannelsCell):
    """A classifier and what is silenced in it.

    Attributes:
        attack: what is silenced; its regions are those of segmentation and mean nothing here.
        labelled: see ``ClassifiersConfig``.
        photographs: names of the images.
    """

    attack: AttackConfig
    labelled: bool
    photographs: tuple[str, ...] = Field(default=(), exclude=True)

    def check(self) -> None:
        """See ``AttackedClassifier.check``; whether photographs and folders are enough, too."""
        super().check()
        if not any(protocol.split in PHOTOGRAPHED for protocol in self.attack.protocols.values()):
            raise ValueError(f"attack.protocols: none has a split of {', '.join(PHOTOGRAPHED)}")
        if len(set(self.photographs)) < FEWEST:
            raise ValueError(
                f"photos.test_dir: {len(set(self.photographs))} photographs; {FEWEST} are needed, "
                "two to rank channels by and two to attack"
            )
        if self.labelled:
            folders = {folder_of(name) for name in self.photographs}
            classes = dry_run(self.classifier.arch, self.image_size, _class_count)
            if len(folders) != classes or "" in folders:
                raise ValueError(
                    f"photos.test_dir has {len(folders - {''})} folders of photographs, and arch "
                    f"{self.classifier.arch!r} has {classes} classes; keep a folder for each, or "
                    "set channel_attack.classifiers.labelled to false"
                )


def rank(cell: ClassifierChannelsCell, inputs: Inputs, work: Work) -> Result:
    """As ``channels.run`` does it, over every other photograph and over textures."""
    classifier, size = cell.classifier, (cell.image_size, cell.image_size)
    photographs = inputs["images"]
    free = layout_free_images(cell.layout_free, size)
    ranking = ranks(photographs).nonzero().flatten().numpy()
    work.on_total(len(ranking) + len(free))
    statistics = channel_statistics(
        _loaded(classifier, work),
        classifier.layer,
        _batches(photographs.arrays["pixels"], ranking, classifier, work),
        _batches(free, np.arange(len(free)), classifier, work),
        work,
    )
    return Result(tensors=statistics.tensors(), rows=channel_rows(statistics))


def attack(cell: ClassifierAttackCell, inputs: Inputs, work: Work) -> Result:
    """What the classifier answers under every attack.

    Returns:
        ``attacks.csv``, a row per protocol and attack, see ``planned_attacks``, ``n`` images and
        ``top1``, NaN without labels; in the same order ``counts`` (attacks, groups, 1, 2), see
        ``agreement_counts``: a group is a photograph, or several of many. A row with, for each
        protocol, the agreement with the intact network after the largest attack of the first
        ranking, and with labels its own ``top1``.
    """
    photographs, ranking = inputs["images"], ranks(inputs["images"])
    network, labels = _loaded(cell.classifier, work), _labels(photographs)
    shown = {
        name: ranking if protocol.split == "ranking" else ~ranking
        for name, protocol in cell.attack.protocols.items()
        if protocol.split in PHOTOGRAPHED
    }
    work.on_total(sum(int(each.sum()) for each in shown.values()))
    frames, counts, row = [], [], {}
    for name, chosen in shown.items():
        index = chosen.nonzero().flatten().numpy()
        images = _batches(photographs.arrays["pixels"], index, cell.classifier, work)
        table, answers = _answers(cell, name, images, network, inputs["channels"], work)
        if cell.labelled:
            table["top1"] = (answers == labels[chosen]).double().mean(1).numpy()
            row[f"top1_{name}"] = table.top1[0]
        frames.append(table)
        counts.append(agreement_counts(answers, _groups(photographs, chosen, cell.attack.groups)))
        row[f"agreement_{name}"] = _of_the_first_ranking(table, counts[-1])
    widest = max(each.shape[1] for each in counts)
    padded = [nn.functional.pad(c, (0, 0, 0, 0, 0, widest - c.shape[1])) for c in counts]
    return Result(
        tensors={"counts": torch.cat(padded).int()},
        rows=pd.DataFrame([row]),
        files={ATTACKS: pd.concat(frames, ignore_index=True).to_csv(index=False).encode()},
    )


def _answers(
    cell: ClassifierAttackCell,
    protocol: str,
    images: Iterator[Float[Tensor, "_ 3 h w"]],
    network: nn.Module,
    channels: Result,
    work: Work,
) -> tuple[pd.DataFrame, Int64[Tensor, "a n"]]:
    """The attacks of a protocol, and what the classifier answers."""
    statistics, config = statistics_of(channels), cell.attack.protocols[protocol]
    planned, attacks = planned_attacks(statistics, cell.attack, config.draws, config.matched)
    answers = classify_without(
        network,
        cell.classifier.layer,
        images,
        attacks,
        means=statistics.z.mean(0),
        work=work,
    )
    return planned.assign(protocol=protocol, n=answers.shape[1], top1=np.nan), answers


def _groups(photographs: Result, chosen: Bool[Tensor, " n"], groups: int) -> Int64[Tensor, " _"]:
    """Of each chosen image: its photograph, where these are few, or one of so many groups."""
    names = photographs.table.photograph[chosen.numpy()]
    numbers, known = pd.factorize(names)
    return torch.from_numpy(numbers * min(len(known), groups) // len(known))


def folder_of(photograph: str) -> str:
    """The first folder in the name of a photograph of ``photos.test_dir``; empty: it is in none."""
    return photograph.partition("/")[0] if "/" in photograph else ""


def ranks(photographs: Result) -> Bool[Tensor, " n"]:
    """Which images are of the photographs that channels are ranked by: of every other one."""
    numbers, _ = pd.factorize(photographs.table.photograph)
    return torch.from_numpy(numbers % 2 == 0)


def _labels(photographs: Result) -> Int64[Tensor, " n"]:
    """The place of each photograph's folder among all folders."""
    folders = photographs.table.photograph.map(folder_of)
    return torch.from_numpy(pd.factorize(folders, sort=True)[0].astype(np.int64))


def _of_the_first_ranking(planned: pd.DataFrame, counts: Int64[Tensor, "a g 1 2"]) -> float:
    own = planned[(planned.ranking == planned.ranking[1]) & planned.top]
    return agreement(counts[int(own.n_channels.idxmax())].sum(0)[0].double()).item()


def _class_count(network: nn.Module, images: Tensor) -> int:
    return network(images).shape[1]


def _loaded(classifier: AttackedClassifier, work: Work) -> nn.Module:
    network = load_network(classifier.arch, classifier.weights, classifier.seed)
    network = repad(network, classifier.padding, classifier.padding_layers)
    return network.to(work.device, memory_format=torch.channels_last).eval()  # type: ignore[call-overload]


def _batches(
    pixels: UInt8[np.ndarray, "n 3 h w"],
    chosen: np.ndarray,
    classifier: AttackedClassifier,
    work: Work,
) -> Iterator[Float[Tensor, "_ 3 h w"]]:
    """Some of the images, normalised; of an array on disk a batch at a time."""
    colours = own_colours(classifier.arch, classifier.weights)
    for index in torch.from_numpy(chosen).split(batch_size(work.device)):
        images = torch.from_numpy(pixels[index.numpy()]).to(work.device)
        images = normalise(images, "imagenet", colours)
        yield images.contiguous(memory_format=torch.channels_last)
