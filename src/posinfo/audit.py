"""Audit a network from Python: ``from posinfo.audit import audit``.

Example:
    .. code-block:: python

        from torchvision.models import resnet18
        from posinfo.audit import audit

        found = audit(resnet18(weights="DEFAULT").eval())
        print(found.record["numbers"]["consistency"])
        found.save("audits/resnet18")
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import nn

from posinfo.experiment import Result
from posinfo.experiments.audit import AUDIT
from posinfo.experiments.audit.judge import PAGE, record_of
from posinfo.experiments.audit.report import MEASURED, compared
from posinfo.experiments.audit.settings import AuditSettings
from posinfo.networks.models.audited import GivenNetwork, given
from posinfo.networks.models.normalisation import Colours
from posinfo.networks.surgery.blocks import Blocks
from posinfo.networks.training.devices import true_float32
from posinfo.work import Work

DEFAULTS: dict[str, Any] = {  # those of conf/base/parameters_audit.yml
    "image_size": 224, "picture_size": 512, "crops": 1, "max_shift": 16, "step": 4,
    "margins": [0, 32, 64, 96, 128, 160, 192, 224], "batch_padding": 32,
    "paddings": ["reflect", "replicate", "circular", "partial"], "tolerance": 0.01,
    "position": {
        "patterns": ["horizontal", "vertical", "gaussian", "control_6"],
        "train_crops": 120, "test_crops": 40, "feature_size": 28,
        "ridge": {
            "penalties": [0.01, 1.0, 100.0], "held_out": 0.2, "positions": 784, "memory_gib": 4.0,
        },
    },
    "fail_if": [], "baseline": None, "baseline_tolerance": 0.02, "only": [],
}  # fmt: skip
LABEL = "network"


@dataclass(frozen=True)
class Audit:
    """What an audit has found.

    Attributes:
        record: what audit.json holds; docs/audit.md describes it.
        html: the page.
        scores: a row per number and photograph: ``measure, where, photograph, value``.
    """

    record: Mapping[str, Any]
    html: str
    scores: pd.DataFrame

    @property
    def passed(self) -> bool:
        """Whether no condition of ``fail_if`` holds."""
        return self.record["passed"]

    def save(self, folder: str | Path) -> None:
        """Write report.html, audit.json and scores.csv."""
        path = Path(folder)
        path.mkdir(parents=True, exist_ok=True)
        (path / "report.html").write_text(self.html)
        (path / "audit.json").write_text(json.dumps(self.record, indent=1, allow_nan=False) + "\n")
        self.scores.to_csv(path / "scores.csv", index=False)


def audit(
    network: nn.Module,
    *,
    output: str = "",
    layers: Blocks = "default",
    colours: Colours | None = None,
    channels_last: bool = False,
    images: str | Path | None = None,
    fail_if: Sequence[str] = (),
    **settings: Any,
) -> Audit:
    """What a network knows about position, what its padding costs, how its tiles fit.

    Args:
        network: any network of RGB images (n, 3, h, w), in evaluation mode on one device, which
            computes; it stays as it is. It returns logits (n, k) or maps (n, c, h, w).
        output: path to its output among what it returns, such as ``logits``; empty: what it
            returns is the output.
        layers: names of the layers whose maps are measured; ``default``: the last one at each
            resolution.
        colours: mean and standard deviation of the images that it expects; None: ImageNet's.
        channels_last: whether the named layers return (n, h, w, c), as those of a Swin do.
        images: a folder of photographs; None: the embedded ones.
        fail_if: conditions under which it fails, such as ``consistency<0.95``.
        settings: in place of those in ``DEFAULTS``; docs/audit.md describes them.

    Raises:
        FileNotFoundError, ValueError: a network, images or settings that cannot be audited; the
            message says why.
    """
    audited_network = given(network, output, layers, colours, channels_last)
    chosen = settings_for(audited_network, images, {"fail_if": list(fail_if), **settings})
    audited_network.check(chosen.audit.image_size)
    results = _compute(chosen, network)
    judged = results[f"judge/{LABEL}"]
    rows = [results[f"{step}/{LABEL}"].table for step in MEASURED]
    html = judged.files[PAGE].decode()
    return Audit(record_of(judged), html, pd.concat(rows, ignore_index=True))


def compare(first: Audit, second: Audit) -> pd.DataFrame:
    """How far the numbers of two audits differ, paired over the photographs they have in common.

    Args:
        first: whose numbers are subtracted.
        second: the other.

    Returns:
        Rows ``measure, cell, against, difference, low, high, n_photographs, separable``, see
        ``paired_comparisons``.
    """
    frames = {"first": first.scores, "second": second.scores}
    scores = pd.concat([each.assign(network=name) for name, each in frames.items()])
    return compared(scores.reset_index(drop=True))


def settings_for(
    network: GivenNetwork, images: str | Path | None, changes: Mapping[str, Any]
) -> AuditSettings:
    """The settings of the audit of one network.

    Args:
        network: what is audited.
        images: a folder of photographs; None: the embedded ones.
        changes: in place of ``DEFAULTS``.
    """
    photos = {
        "train_dir": None, "test_dir": None if images is None else Path(images),
        "train_crops": 1, "test_crops": 1, "seed": 0,
    }  # fmt: skip
    named = {LABEL: {"arch": "resnet18", "weights": "untrained"}}  # takes the network's place
    sections = {**DEFAULTS, **changes, "networks": named}
    settings = AuditSettings.model_validate({"photos": photos, "audit": sections})
    section = settings.audit.model_copy(update={"networks": {LABEL: network}})
    return AuditSettings.model_construct(photos=settings.photos, audit=section)


def _compute(settings: AuditSettings, network: nn.Module) -> dict[str, Result]:
    """The results of every step, by step and label, kept in memory."""
    device = next((tensor.device for tensor in network.state_dict().values()), torch.device("cpu"))
    results: dict[str, Result] = {}
    with true_float32():
        for step in AUDIT.steps:
            for label, cell in step.cells(settings).items():
                inputs = {role: results[name] for role, name in cell.inputs.items()}
                results[f"{step.name}/{label}"] = step.run(cell, inputs, Work(device))
    return results
