"""Tables 1 to 4 and Figures 5 to 7 of the paper, its numbers beside ours."""

import pandas as pd
import torch
from matplotlib.figure import Figure

from posinfo.experiment import Report, Results
from posinfo.experiments.posenet.report import all_rows, first_image, maps_of
from posinfo.experiments.posenet.settings import AblationSettings, TableCell
from posinfo.measures.ablation_figures import (
    Panel,
    error_maps_figure,
    layers_and_kernels_figure,
    padding_figure,
)
from posinfo.measures.ablation_tables import ablation_tables, tables_markdown

FIGURE_6 = "gaussian"  # the pattern that each shows
FIGURE_7 = ("horizontal", "vertical", "gaussian")
FIRST = [  # columns of scores.csv, before all other settings
    "table", "backbone", "weights", "padding", "pattern", "stimulus", "seed", "spc", "mae", "floor",
    "skill", "n", "n_constant",
]  # fmt: skip


def report(settings: AblationSettings, results: Results, published: pd.DataFrame) -> Report:
    """Scores, the paper's tables, and three of its figures."""
    cells = settings.cells
    columns = [{"cell": label, **_columns(c, settings)} for label, c in cells.items()]
    frame = pd.DataFrame(columns).explode("table")
    scores = all_rows(results["evaluate"]).merge(frame, on="cell")
    seeds = {label: f"-seed{cell.backbone_seed}" for label, cell in cells.items()}
    scores["cell"] = [label.replace(seeds[label], "") for label in scores.cell]
    others = [name for name in frame if name not in ("cell", *FIRST)]
    scores = scores.reindex(columns=[*FIRST, *others, "cell"])
    architectures = {label: backbone.arch for label, backbone in settings.backbones.items()}
    signed = settings.posenet.stripes == "signed"
    table = ablation_tables(scores, published, architectures, signed=signed)
    return Report(
        tables={"scores": scores, "tables": table},
        texts={"tables": tables_markdown(table)},
        figures={
            "figure5": _figure5(settings, results),
            "figure6": _figure6(settings, results),
            "figure7": _figure7(settings, results),
        },
    )


def _figure5(settings: AblationSettings, results: Results) -> Figure:
    patterns, evaluated = settings.posenet_ablations.patterns, results["evaluate"]
    truth = {
        p: m for cell in evaluated.values() for p, m in maps_of(cell, "truth", patterns).items()
    }
    columns = {
        f"{cell.backbone}\n{label.removeprefix(cell.backbone).strip('-')}": maps_of(
            evaluated[label], "map", patterns
        )
        for label, cell in settings.cells.items()
        if {"2a", "2b"} & set(cell.tables)
    }
    return layers_and_kernels_figure({p: truth[p] for p in patterns if p in truth}, columns)


def _figure6(settings: AblationSettings, results: Results) -> Figure:
    truth, panels = None, []
    for label, cell in settings.cells.items():
        if "4" in cell.tables and FIGURE_6 in cell.patterns:
            backbone, tensors = settings.backbone_of(cell), results["evaluate"][label].tensors
            alone = backbone.arch == "image"
            padding = f"padding {cell.readout.padding}" if alone else backbone.padding
            panels.append(Panel(f"{cell.backbone}\n{padding}", tensors[f"map.{FIGURE_6}"]))
            truth = tensors[f"truth.{FIGURE_6}"]
    return padding_figure(first_image(results["evaluate"]), truth, panels)


def _figure7(settings: AblationSettings, results: Results) -> Figure:
    errors = {
        label: torch.stack([*maps_of(results["evaluate"][label], "error", FIGURE_7).values()])
        for label, cell in settings.cells.items()
        if "1" in cell.tables and set(FIGURE_7) <= set(cell.patterns)
    }
    return error_maps_figure({label: maps.mean(0) for label, maps in errors.items()})


def _columns(cell: TableCell, settings: AblationSettings) -> dict[str, object]:
    readout, backbone = cell.readout, settings.backbone_of(cell)
    return {
        "table": list(cell.tables),
        "backbone": cell.backbone,
        "weights": backbone.weights,
        "padding": backbone.padding,
        "blocks": "+".join(cell.blocks) or "all",
        "kernel_size": readout.kernel_size,
        "layers": readout.layers,
        "hidden_width": readout.hidden_width if readout.layers > 1 else "",
        "readout_padding": readout.padding,
        "head": readout.head,
        "normalisation": cell.normalisation,
        "backbone_seed": backbone.seed,
    }
