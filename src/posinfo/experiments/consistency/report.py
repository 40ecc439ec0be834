"""Consistency of each classifier over photographs, and what another padding changes."""

import pandas as pd
from matplotlib.figure import Figure

from posinfo.experiment import Report, Result, Results
from posinfo.experiments.consistency.settings import ConsistencySettings
from posinfo.measures.canvas_figures import agreement_figure
from posinfo.measures.intervals import mean_interval
from posinfo.measures.paired_comparisons import comparisons_markdown, paired_comparisons
from posinfo.measures.reporting import number

MEASURES = {"consistency_exact": "consistency", "unanimous": "one class at all offsets"}
SETTINGS = ["arch", "weights", "padding"]


def report(settings: ConsistencySettings, results: Results, published: pd.DataFrame) -> Report:
    """Scores of each photograph, the table, comparisons with the first row, agreement by offset."""
    classified = results["classify"]
    frames = []
    for label, result in classified.items():
        of_row = settings.cells[label].model_dump(include=set(SETTINGS))
        frames.append(result.table.assign(cell=label, **of_row))
    scores = pd.concat(frames, ignore_index=True)
    scores = scores.reindex(columns=["cell", *SETTINGS, *scores.columns.drop(["cell", *SETTINGS])])
    labels = list(classified)
    pairs = [(label, labels[0]) for label in labels[1:]]
    comparisons = paired_comparisons(scores, [], list(MEASURES), "photograph", pairs)
    compared = comparisons_markdown(comparisons, [], MEASURES, "photograph")
    maps = {label: result.tensors["agreement"].numpy() for label, result in classified.items()}
    offsets = settings.consistency.offsets
    heading = f"windows of {settings.consistency.image_size} px at offsets {offsets} on each axis"
    return Report(
        tables={"scores": scores, "comparisons": comparisons},
        texts={"table": f"{heading.capitalize()}:\n\n{_table(scores)}\n\n{compared}"},
        figures={"agreement": agreement_figure(maps, ranges=1)},
    )


def map_of(result: Result) -> Figure:
    """Agreement by offset of one classifier."""
    return agreement_figure({"": result.tensors["agreement"].numpy()}, ranges=1)


def _table(scores: pd.DataFrame) -> str:
    lines = []
    for label, rows in scores.groupby("cell", sort=False):
        low, high = mean_interval(rows.consistency_exact.to_numpy())
        lines.append(
            {
                "classifier": label, "padding": rows.padding.iloc[0],
                "consistency": number(rows.consistency_exact.mean()),
                f"95 % over {len(rows)} photographs": f"{number(low)} to {number(high)}",
                MEASURES["unanimous"]: number(rows.unanimous.mean()),
                "classes": f"{rows.classes.mean():.1f}", "crops": rows.n.sum(),
            }
        )  # fmt: skip
    return pd.DataFrame(lines).to_markdown(index=False, disable_numparse=True)
