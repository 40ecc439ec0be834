"""The cells of each step, from the settings."""

from typing import Any

from posinfo.experiments.channel_attack.attack import AttackCell
from posinfo.experiments.channel_attack.channels import ChannelsCell
from posinfo.experiments.channel_attack.classifiers import (
    AttackedClassifier,
    ClassifierAttackCell,
    ClassifierChannelsCell,
)
from posinfo.experiments.channel_attack.scenes import PhotographsCell, ScenesCell
from posinfo.experiments.channel_attack.settings import GRID, ChannelAttackSettings
from posinfo.experiments.channel_attack.train import SegmenterCell
from posinfo.experiments.images import ImagesCell
from posinfo.experiments.trained_network import network_label
from posinfo.networks.models.architectures import user_modules
from posinfo.networks.models.segmenter_weights import segmenter_weights_key
from posinfo.networks.models.segmenters import SegmenterConfig
from posinfo.networks.models.weights import weights_key
from posinfo.stimuli.labelled_photographs import files_key
from posinfo.stimuli.photos import manifest_key


def scenes_cells(settings: ChannelAttackSettings) -> dict[str, ScenesCell | PhotographsCell]:
    """Every kind of scenes that a row names, or the photographs in every size."""
    config, counts = settings.channel_attack.photographs, settings.channel_attack.images
    cells: dict[str, ScenesCell | PhotographsCell] = {}
    for row in settings.cells.values():
        if config is None:
            cell = ScenesCell(scenes=settings.scenes_of(row), counts=counts)
        else:
            cell = PhotographsCell(
                dataset=config.dataset,
                content=files_key(settings.photographs),
                size=settings.size(row),
                layout_free=counts.layout_free,
                files=settings.photographs,
            )
        cells[settings.source(row)] = cell
    return cells


def train_cells(settings: ChannelAttackSettings) -> dict[str, SegmenterCell]:
    """A network per row and seed."""
    cells = {}
    for label, cell in settings.cells.items():
        # model_dump leaves out the weights, by whose name results are not found again
        known = {name: getattr(cell, name) for name in SegmenterConfig.model_fields}
        network = SegmenterConfig(**known)
        weights = segmenter_weights_key(network, f"{GRID.where}: {label}: weights")
        drawn = settings.channel_attack.photographs is None
        about = {"scenes": settings.scenes_of(cell)} if drawn else {"images": settings.source(cell)}
        about |= {**dict(network), "training": cell.training, "attack": cell.attack}
        for seed in cell.seeds:
            cells[network_label(label, seed)] = SegmenterCell(
                inputs={"scenes": f"scenes/{settings.source(cell)}"},
                modules=user_modules(network.arch),
                parameters={"cell": label, "seed": seed, **about},
                network=network,
                classes=len(settings.class_names),
                weights=weights,
                training=cell.training,
                size=settings.size(cell),
                seed=seed,
            )
    return cells


def channels_cells(settings: ChannelAttackSettings) -> dict[str, ChannelsCell]:
    """The latent of each trained network."""
    return {
        label: ChannelsCell(
            inputs={**cell.inputs, "network": f"train/{label}"},
            modules=cell.modules,
            parameters=cell.parameters,
            network=cell.network,
            classes=cell.classes,
        )
        for label, cell in train_cells(settings).items()
    }


def attack_cells(settings: ChannelAttackSettings) -> dict[str, AttackCell]:
    """The attacks on each trained network."""
    cells = {}
    trained = train_cells(settings)
    for label, row in settings.cells.items():
        for seed in row.seeds:
            name = network_label(label, seed)
            needed = {"network": f"train/{name}", "channels": f"channels/{name}"}
            cells[name] = AttackCell(
                inputs={**trained[name].inputs, **needed},
                modules=trained[name].modules,
                parameters=trained[name].parameters,
                network=trained[name].network,
                classes=len(settings.class_names),
                attack=row.attack,
                seed=seed,
            )
    return cells


def images_cells(settings: ChannelAttackSettings) -> dict[str, ImagesCell]:
    """The photographs that classifiers are shown, if there are any."""
    if not settings.classifiers:
        return {}
    manifest, size = settings.manifest, settings.channel_attack.classifiers.image_size
    content = manifest_key(manifest)
    return {"photographs": ImagesCell(image_size=size, content=content, manifest=manifest)}


def rank_cells(settings: ChannelAttackSettings) -> dict[str, ClassifierChannelsCell]:
    """The latent of each classifier."""
    return {
        label: ClassifierChannelsCell(
            inputs={"images": "images/photographs"},
            modules=user_modules(classifier.arch),
            **_of_classifier(settings, label, classifier),
        )
        for label, classifier in settings.classifiers.items()
    }


def classify_cells(settings: ChannelAttackSettings) -> dict[str, ClassifierAttackCell]:
    """The attacks on each classifier."""
    section = settings.channel_attack
    return {
        label: ClassifierAttackCell(
            inputs={"images": "images/photographs", "channels": f"rank/{label}"},
            modules=user_modules(classifier.arch),
            parameters={**dict(classifier), "photos": settings.photos, "attack": section.attack},
            attack=section.attack,
            labelled=section.classifiers.labelled,
            **_of_classifier(settings, label, classifier),
        )
        for label, classifier in settings.classifiers.items()
    }


def _of_classifier(
    settings: ChannelAttackSettings, label: str, classifier: AttackedClassifier
) -> dict[str, Any]:
    section = settings.channel_attack
    return {
        "classifier": classifier,
        "weights": weights_key(classifier.arch, classifier.weights, label),
        "image_size": section.classifiers.image_size,
        "layout_free": section.images.layout_free,
    }
