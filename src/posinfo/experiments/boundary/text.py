"""What the boundary study found, part by part, for reading."""

from collections.abc import Callable, Mapping

import pandas as pd

from posinfo.measures.border_tables import (
    PAPER,
    beside_paper,
    pixels_over_seeds,
    summary,
    with_means,
)
from posinfo.measures.paired_comparisons import comparisons_markdown
from posinfo.measures.published import published_rows

Tables = Mapping[str, pd.DataFrame]
ACCURACY = {"accuracy": "accuracy"}
THEIRS = {"accuracy": "paper"}
CANVAS = {"row": "row", "padding": "padding", "canvas": "canvas", "task": "task", "grid": "grid"}
NETWORKS = {  # as published.csv names them
    "narrow_resnet18": "resnet18", "resnet18": "resnet18", "bagnet33": "bagnet33",
    "narrow_densenet121": "densenet121", "densenet121": "densenet121",
}  # fmt: skip


def study_text(tables: Tables, published: pd.DataFrame) -> str:
    """Every part that was asked for, and what is compared."""
    sections = [
        f"## {title}\n\n{text(tables, published)}"
        for name, (title, text) in PARTS.items()
        if len(tables[name])
    ]
    compared = tables["comparisons"]
    if len(compared):
        measures = {name: name.replace("_", " ") for name in compared["measure"].unique()}
        said = comparisons_markdown(compared, ["part", "place"], measures)
        sections.append(f"## Comparisons\n\n{said}")
    return "\n\n".join(section.rstrip() for section in sections) + "\n"


def _patch_location(tables: Tables, published: pd.DataFrame) -> str:
    table = summary(tables["patch_location"], ["padding"], ["accuracy", "identical"])
    table = beside_paper(table, published, "Figure 1", ["padding"], THEIRS)
    measures = {"accuracy": "accuracy", "identical": "features identical to the bit"}
    return _markdown(table, measures, {"padding": "padding"}, {"paper": "paper"})


def _red_green(tables: Tables, published: pd.DataFrame) -> str:
    measures = {"similar": "similar", "dissimilar": "dissimilar", "identical": "identical twins"}
    table = summary(tables["red_green"], ["padding"], list(measures))
    theirs = {"similar": "similar, paper", "dissimilar": "dissimilar, paper"}
    table = beside_paper(table, published, "Table 1", ["padding"], theirs)
    return _markdown(table, measures, {"padding": "padding"}, {n: n for n in theirs.values()})


def _distance(tables: Tables, published: pd.DataFrame) -> str:
    table = summary(
        tables["distance"],
        ["row", "arch", "part", "padding", "trained", "weights", "border"],
        ["accuracy"],
    )
    table["network"] = table.arch.str.replace(r"\(.*", "", regex=True).map(NETWORKS).fillna("")
    as_theirs = table.padding.isin(["as_built", "zero"]) & table.part.eq("")
    table["network"] = table.network.where(as_theirs, "")
    keys = ["network", "trained", "weights", "border"]
    for of in ("paper", "repository"):
        table = beside_paper(table, published, f"Figure 4 ({of})", keys, {"accuracy": of})
    by_row = {}
    for row, rows in table.groupby("row", sort=False):
        line = {"network": row, "n": rows.n.iloc[0]}
        for each in rows.to_dict("records"):
            theirs = [f"{each[of]:.3f}" for of in ("paper", "repository") if each[of] == each[of]]
            said = f"{each['accuracy']:.3f}" + (f" [{', '.join(theirs)}]" if theirs else "")
            line[f"{each['border']} px"] = said
        by_row[row] = line
    widths = [f"{border} px" for border in sorted(table.border.unique())]
    frame = pd.DataFrame(by_row.values(), columns=["network", "n", *widths]).fillna("")
    text = frame.to_markdown(index=False, disable_numparse=True)
    return (
        "Accuracy by the width of the border, mean over seeds; in brackets what the paper's figure "
        "4 and the one of its repository show of such a network at full width, photographs of "
        f"ImageNet, and of a border that is the first convolution's.\n\n{text}\n\n"
        f"{_knees(tables)}"
    )


def _knees(tables: Tables) -> str:
    lines = []
    for row, rows in tables["knees"].groupby("row", sort=False):
        line = {"network": row, "seeds": len(rows)}
        line |= {
            shown: pixels_over_seeds(rows.loc[:, name])
            for name, shown in (
                ("knee", "knee"),
                ("field", "receptive field"),
                ("error_reach", "2 x error distance"),
            )
        }  # fmt: skip
        lines.append(line)
    text = pd.DataFrame(lines).to_markdown(index=False, disable_numparse=True)
    return (
        "How far the border reaches in pixels, mean over seeds (95 % interval): the border at "
        f"which accuracy falls below .75, and what two other measures make one expect.\n\n{text}"
    )


def _shifts(tables: Tables, published: pd.DataFrame) -> str:
    measures = {
        "top1": "top-1", "diagonal_accuracy": "diagonal", "consistency_exact": "consistency",
        "consistency_right": "of right images", "consistency_sampled": "sampled",
    }  # fmt: skip
    keys = ["method", "max_shift", "shift_padding"]
    table = summary(tables["shifts"], keys, list(measures))
    table["depth"] = 18
    theirs = {"diagonal_accuracy": "diagonal, paper", "consistency": "consistency, paper"}
    table = beside_paper(table, published, "Table 2", ["method", "depth"], theirs)
    others = {"method": "method", "max_shift": "offsets to (px)", "shift_padding": "outside"}
    return _markdown(table, measures, others, {name: name for name in theirs.values()})


def _canvases(tables: Tables, published: pd.DataFrame) -> str:
    keys = list(CANVAS)
    table = summary(tables["canvases"], keys, ["accuracy"])
    gaps = tables["ring_gaps"].groupby(keys, sort=False).gap.agg(gap="mean", gap_sd="std")
    table = table.merge(gaps.reset_index(), on=keys)
    measures = {"accuracy": "accuracy", "gap": "outermost - innermost ring"}
    return _markdown(table, measures, CANVAS, {"floor": "chance", "n": "canvases"})


def _data_efficiency(tables: Tables, published: pd.DataFrame) -> str:
    table = summary(tables["data_efficiency"], ["n_train", "epochs", "method"], ["top1"])
    others = {"n_train": "train images", "epochs": "epochs", "method": "method"}
    theirs = published_rows(published, PAPER, ["Figure 7"])
    top1 = theirs.pivot(index="per_class", columns="method", values="top1")
    gains = [f"{gain:+.3f} at {n}" for n, gain in (top1.fconv - top1.baseline).items()]
    return (
        f"{_markdown(table, {'top1': 'top-1'}, others, {})}\n\nF-Conv minus S-Conv in the paper, "
        f"of ResNet-50 by ImageNet's images per class: {', '.join(gains)}."
    )


def _markdown(
    table: pd.DataFrame, measures: dict[str, str], first: dict[str, str], last: dict[str, str]
) -> str:
    frame = with_means(table, measures, first | last | {"n_seeds": "seeds"})
    ordered = [*first.values(), *measures.values(), *last.values(), "seeds"]
    shown = frame[[name for name in ordered if name in frame]]
    return shown.to_markdown(index=False, disable_numparse=True)


PARTS: dict[str, tuple[str, Callable[[Tables, pd.DataFrame], str]]] = {
    "patch_location": ("Patch location (figure 1)", _patch_location),
    "distance": ("Distance to the border (figure 4)", _distance),
    "red_green": ("Red-Green (table 1)", _red_green),
    "shifts": ("Shift sensitivity (table 2)", _shifts),
    "canvases": ("Padding and canvas", _canvases),
    "data_efficiency": ("Data efficiency (figure 7)", _data_efficiency),
}
