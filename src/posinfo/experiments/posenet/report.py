"""Table 1, and Tables 1 to 4 and Figures 5 to 7, with the published numbers beside ours."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
import torch
from jaxtyping import UInt8
from matplotlib.figure import Figure
from torch import Tensor

from posinfo.experiment import Report, Result, Results
from posinfo.experiments.posenet.evaluate import image_scores
from posinfo.experiments.posenet.settings import AblationSettings, PosenetSettings, TableCell
from posinfo.measures import ablation_figures
from posinfo.measures.ablation_tables import ablation_tables, tables_markdown
from posinfo.measures.figures import images_figure, masks_figure, predicted_maps_figure
from posinfo.measures.islam2020 import beside_paper
from posinfo.measures.paired_comparisons import comparisons_markdown
from posinfo.measures.table1 import padding_comparisons, table1, table1_markdown
from posinfo.networks.readouts.held_out import hold_out

PREVIEWED = 8  # photographs in a line of the contact sheet
FIGURE_6 = "gaussian"  # the pattern that each shows
FIGURE_7 = ("horizontal", "vertical", "gaussian")
COLUMNS = [  # of scores.csv, before all other settings
    "backbone", "weights", "padding", "pattern", "stimulus", "seed", "spc", "mae", "floor",
    "skill", "split", "n", "n_constant", "stuck",
]  # fmt: skip


def report_table1(settings: PosenetSettings, results: Results, published: pd.DataFrame) -> Report:
    """Scores, Table 1, comparisons, masks, a contact sheet of the photographs, predicted maps."""
    cells, patterns = results["evaluate"], settings.posenet.patterns
    images = pd.concat(
        [image_scores(cell).assign(backbone=label) for label, cell in cells.items()],
        ignore_index=True,
    )
    scores = _scores(settings, results)
    table = _beside_paper(table1(scores, images), published, settings)
    architectures = {label: settings.backbones[label].arch for label in cells}
    compared = padding_comparisons(images, architectures)
    said = comparisons_markdown(compared, [], {p: p for p in patterns}, "photograph")
    first = next(iter(cells.values()))
    image, truth = first.tensors["image"].numpy(), maps_of(first, "truth", patterns)
    maps = {label: maps_of(cell, "map", patterns) for label, cell in cells.items()}
    return Report(
        tables={
            "scores": scores.reindex(columns=COLUMNS),
            "table1": table,
            "comparisons": compared,
        },
        texts={
            "table1": table1_markdown(table),
            "comparisons": said,
        },
        figures={
            "masks": masks_figure(truth),
            "photos": images_figure(_contact_sheet(settings, results["images"])),
            "predicted_maps": predicted_maps_figure(image, truth, maps),
        },
    )


def _contact_sheet(
    settings: PosenetSettings, images: Mapping[str, Result]
) -> dict[str, UInt8[np.ndarray, "n 3 h w"]]:
    """The first images that readouts are trained on, and the first that they are measured on."""
    train, test = images["train"], images["test"].arrays["pixels"]
    pixels, share = train.arrays["pixels"], settings.held_out
    if share is None:
        return {"train": pixels[:PREVIEWED], "test": test[:PREVIEWED]}
    measured = hold_out(train.table.photograph.tolist(), share).numpy()
    of_sets = {"train": ~measured, "validation": measured}
    return {name: pixels[np.flatnonzero(each)[:PREVIEWED]] for name, each in of_sets.items()}


def map_of(result: Result) -> Figure:
    """What the readouts of one cell say of the first photograph, below the ground truth."""
    patterns = tuple(dict.fromkeys(pattern for pattern, _ in result.facts["heads"]))
    image, truth = result.tensors["image"].numpy(), maps_of(result, "truth", patterns)
    return predicted_maps_figure(image, truth, {"predicted": maps_of(result, "map", patterns)})


def all_rows(cells: Mapping[str, Result]) -> pd.DataFrame:
    """The rows of all cells, one below the other, after a column ``cell``."""
    frames = [result.table.assign(cell=label) for label, result in cells.items()]
    rows = pd.concat(frames, ignore_index=True)
    return rows.reindex(columns=["cell", *rows.columns.drop("cell")])


def maps_of(cell: Result, kind: str, patterns: tuple[str, ...]) -> dict[str, Tensor]:
    """A cell's ``truth``, or ``map`` or ``error`` of its readouts, by those patterns it reads."""
    found = {pattern: cell.tensors.get(f"{kind}.{pattern}") for pattern in patterns}
    return {pattern: values for pattern, values in found.items() if values is not None}


def report_ablations(
    settings: AblationSettings, results: Results, published: pd.DataFrame
) -> Report:
    """Scores, the paper's tables, and three of its figures."""
    scores = _scores(settings, results)
    scores["cell"] = [_without_seed(label, settings) for label in scores.cell]
    table = _beside_paper(ablation_tables(scores), published, settings)
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
    return ablation_figures.layers_and_kernels_figure(
        {p: truth[p] for p in patterns if p in truth}, columns
    )


def _figure6(settings: AblationSettings, results: Results) -> Figure:
    truth, panels = None, []
    image = next(iter(results["evaluate"].values())).tensors["image"].numpy()
    for label, cell in _first_networks(settings).items():
        if "4" in cell.tables and FIGURE_6 in cell.patterns:
            backbone, tensors = settings.backbone_of(cell), results["evaluate"][label].tensors
            readout = f"padding {cell.readout.padding}"
            padding = readout if backbone.arch == "image" else backbone.padding
            panels.append(
                ablation_figures.Panel(f"{cell.backbone}\n{padding}", tensors[f"map.{FIGURE_6}"])
            )
            truth = tensors[f"truth.{FIGURE_6}"]
    return ablation_figures.padding_figure(image, truth, panels)


def _figure7(settings: AblationSettings, results: Results) -> Figure:
    errors = {
        label: torch.stack([*maps_of(results["evaluate"][label], "error", FIGURE_7).values()])
        for label, cell in _first_networks(settings).items()
        if "1" in cell.tables and set(FIGURE_7) <= set(cell.patterns)
    }
    return ablation_figures.error_maps_figure(
        {label: maps.mean(0) for label, maps in errors.items()}
    )


def _without_seed(label: str, settings: PosenetSettings) -> str:
    return label.replace(f"-seed{settings.cells[label].backbone_seed}", "")


def _first_networks(settings: PosenetSettings) -> dict[str, TableCell]:
    """The cells, but of those that differ in the backbone's seed the first alone."""
    first: dict[str, str] = {}
    for label in settings.cells:
        first.setdefault(_without_seed(label, settings), label)
    return {label: settings.cells[label] for label in first.values()}


def _scores(settings: PosenetSettings, results: Results) -> pd.DataFrame:
    """The rows of all cells with their settings: once for each table in which a cell stands."""
    frame = pd.DataFrame(
        [{"cell": label, **_columns(cell, settings)} for label, cell in settings.cells.items()]
    ).explode("table")
    others = [name for name in frame if name not in ("cell", "table", *COLUMNS)]
    scores = all_rows(results["evaluate"]).merge(frame, on="cell")
    return scores.reindex(columns=["table", *COLUMNS, *others, "cell"])


def _beside_paper(
    table: pd.DataFrame, published: pd.DataFrame, settings: PosenetSettings
) -> pd.DataFrame:
    architectures = {label: backbone.arch for label, backbone in settings.backbones.items()}
    signed = settings.posenet.stripes == "signed"
    return beside_paper(table, published, architectures, signed=signed)


def _columns(cell: TableCell, settings: PosenetSettings) -> dict[str, object]:
    readout, backbone = cell.readout, settings.backbone_of(cell)
    return {
        "table": list(cell.tables), "backbone": cell.backbone, "weights": backbone.weights,
        "padding": backbone.padding, "blocks": "+".join(cell.blocks) or "all",
        "kernel_size": readout.kernel_size, "layers": readout.layers,
        "hidden_width": readout.hidden_width if readout.layers > 1 else "",
        "readout_padding": readout.padding, "head": readout.head,
        "normalisation": cell.normalisation, "backbone_seed": backbone.seed,
        "split": settings.posenet.split,
    }  # fmt: skip
