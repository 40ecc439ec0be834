"""The cells of each step, from the settings."""

from collections.abc import Iterator
from typing import Any

from posinfo.experiments.channel_attack.attack import AttackCell
from posinfo.experiments.channel_attack.channels import ChannelsCell
from posinfo.experiments.channel_attack.classifiers import (
    AttackedClassifier,
    ClassifierAttackCell,
    ClassifierChannelsCell,
)
from posinfo.experiments.channel_attack.scenes import LEARNED_FROM, PhotographsCell, ScenesCell
from posinfo.experiments.channel_attack.settings import GRID, ChannelAttackSettings, TableCell
from posinfo.experiments.channel_attack.train import SegmenterCell
from posinfo.experiments.images import ImagesCell
from posinfo.experiments.trained_network import network_label
from posinfo.networks.models.architectures import is_custom, user_modules
from posinfo.networks.models.segmenter_weights import segmenter_weights_key
from posinfo.networks.models.segmenters import SegmenterConfig
from posinfo.networks.models.state_file import is_state_file
from posinfo.networks.models.weights import weights_key
from posinfo.stimuli.labelled_photographs import files_key
from posinfo.stimuli.photos import manifest_key


def scenes_cells(settings: ChannelAttackSettings) -> dict[str, ScenesCell | PhotographsCell]:
    """What networks of each row learn from, and what they are shown, in every kind and size.

    What only trained networks are shown is a result of its own: no network is trained anew for it.
    """
    section, cells = settings.channel_attack, {}
    counts = section.images.model_dump()
    learned_from = {name: counts.pop(name) for name in LEARNED_FROM}
    for row in settings.cells.values():
        source = settings.source(row)
        if section.photographs is None:
            scenes = settings.scenes_of(row)
            cells[source] = ScenesCell(scenes=scenes, counts=counts)
            if not row.weights:
                cells[_training(source)] = ScenesCell(scenes=scenes, counts=learned_from)
        else:
            cells[source] = PhotographsCell(
                dataset=section.photographs.dataset,
                content=files_key(settings.photographs),
                size=settings.size(row),
                layout_free=section.images.layout_free,
                files=settings.photographs,
            )
    return cells


def train_cells(settings: ChannelAttackSettings) -> dict[str, SegmenterCell]:
    """A network per row and seed."""
    cells = {}
    for label, row in settings.cells.items():
        network, source = _network(row), settings.source(row)
        weights = segmenter_weights_key(network, f"{GRID.where}: {label}: weights")
        if not is_custom(row.arch):  # the latent that is attacked changes nothing of a training
            network = network.model_copy(update={"layer": ""})
        for seed in row.seeds:
            cells[network_label(label, seed)] = SegmenterCell(
                inputs={} if weights else {"scenes": f"scenes/{_training(source)}"},
                modules=user_modules(network.arch),
                parameters=_parameters(settings, label, seed),
                network=network,
                classes=len(settings.class_names),
                weights=weights,
                training=None if weights else row.training,
                seed=0 if is_state_file(row.weights) else seed,
                size=settings.size(row),
            )
    return cells


def channels_cells(settings: ChannelAttackSettings) -> dict[str, ChannelsCell]:
    """The latent of each trained network."""
    return {
        name: ChannelsCell(
            inputs={"scenes": f"scenes/{settings.source(row)}", "network": f"train/{name}"},
            modules=user_modules(row.arch),
            parameters=_parameters(settings, label, seed),
            network=_network(row),
            classes=len(settings.class_names),
            size=settings.size(row),
        )
        for name, label, row, seed in _named(settings)
    }


def attack_cells(settings: ChannelAttackSettings) -> dict[str, AttackCell]:
    """The attacks on each trained network."""
    return {
        name: AttackCell(
            inputs={
                "scenes": f"scenes/{settings.source(row)}",
                "network": f"train/{name}",
                "channels": f"channels/{name}",
            },
            modules=user_modules(row.arch),
            parameters=_parameters(settings, label, seed),
            network=_network(row),
            classes=len(settings.class_names),
            attack=row.attack,
            seed=seed,
            size=settings.size(row),
            images=settings.image_counts,
        )
        for name, label, row, seed in _named(settings)
    }


def _named(settings: ChannelAttackSettings) -> Iterator[tuple[str, str, TableCell, int]]:
    """Name, row's label, row and seed of each network."""
    for label, row in settings.cells.items():
        for seed in row.seeds:
            yield network_label(label, seed), label, row, seed


def _network(row: TableCell) -> SegmenterConfig:
    # model_dump leaves out the weights, by whose name results are not found again
    return SegmenterConfig(**{name: getattr(row, name) for name in SegmenterConfig.model_fields})


def _training(source: str) -> str:
    """Label of the scenes that networks learn from, by that of those they are shown."""
    return f"{source}-train"


def _parameters(settings: ChannelAttackSettings, label: str, seed: int) -> dict[str, Any]:
    """What the MLflow run of a network shows."""
    row = settings.cells[label]
    drawn = settings.channel_attack.photographs is None
    about = {"scenes": settings.scenes_of(row)} if drawn else {"images": settings.source(row)}
    trained = {} if row.weights else {"training": row.training}
    about |= {**dict(_network(row)), **trained}
    return {"cell": label, "seed": seed, **about, "attack": row.attack}


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
    section, shown = settings.channel_attack, settings.channel_attack.classifiers
    about = {"photos": settings.photos, **shown.model_dump(exclude={"networks"})}
    return {
        label: ClassifierAttackCell(
            inputs={"images": "images/photographs", "channels": f"rank/{label}"},
            modules=user_modules(classifier.arch),
            parameters={**dict(classifier), **about, "attack": section.attack},
            attack=section.attack,
            labelled=shown.labelled,
            photographs=tuple(settings.manifest.photograph),
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
        "weights": weights_key(
            classifier.arch,
            classifier.weights,
            f"channel_attack.classifiers.networks.{label}.weights",
        ),
        "image_size": section.classifiers.image_size,
        "layout_free": section.images.layout_free,
    }
