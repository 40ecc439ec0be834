"""The pages of all networks, their scores, and what differs between two of them."""

from collections.abc import Mapping
from itertools import combinations
from typing import Any

import pandas as pd

from posinfo.experiment import Report, Results
from posinfo.experiments.audit.judge import record_of
from posinfo.experiments.audit.settings import AuditSettings
from posinfo.measures.paired_comparisons import comparisons_markdown, paired_comparisons

MEASURED = ("position", "context", "tiles", "answers")
STEPS = (*MEASURED, "judge")
TOLD = (  # comparisons.csv has all
    "consistency", "unanimous", "wobble", "shift_error", "batch_padding", "repadding",
)  # fmt: skip


def report(settings: AuditSettings, results: Results, published: pd.DataFrame) -> Report:
    """A folder per network with its page and audit.json; all scores; comparisons of networks."""
    pages: dict[str, bytes] = {}
    texts, frames = [], []
    for label in settings.cells:
        judged = results["judge"][label]
        pages |= {f"{label}/{name}": content for name, content in judged.files.items()}
        texts.append(_summary(label, record_of(judged)))
        frames += [results[step][label].table.assign(network=label) for step in MEASURED]
    scores = pd.concat(frames, ignore_index=True)
    scores = scores.reindex(columns=["network", "measure", "where", "photograph", "value"])
    comparisons = compared(scores)
    if not comparisons.empty:
        texts.append(_compared_text(comparisons))
    return Report(
        tables={"scores": scores, "comparisons": comparisons},
        texts={"verdict": "\n\n".join(texts)},
        figures={},
        folders={"pages": pages},
    )


def _summary(label: str, record: Mapping[str, Any]) -> str:
    outcome = "passed" if record["passed"] else "FAILED: " + "; ".join(record["failures"])
    lines = [f"- {each['text']}" for each in record["verdict"]]
    return "\n".join([f"**{label}**: {outcome}", "", *lines])


def _wide(scores: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """A row per network and photograph, a column per number."""
    chosen = pd.DataFrame(scores[scores.photograph != ""])
    names = [
        measure if where in ("", "crops") else f"{measure}.{where}"
        for measure, where in zip(chosen["measure"], chosen["where"], strict=True)
    ]
    wide = chosen.assign(number=names).pivot_table(
        index=["network", "photograph"], columns="number", values="value", sort=False
    )
    measures = [str(name) for name in wide.columns]
    return wide.reset_index().rename(columns={"network": "cell"}), measures


def compared(scores: pd.DataFrame) -> pd.DataFrame:
    """Of every two networks, paired over photographs; see ``paired_comparisons``.

    A classifier, whose answers are classes, is not compared with a network that returns maps.

    Args:
        scores: ``network, measure, where, photograph, value``.
    """
    wide, measures = _wide(scores)
    classifiers = set(scores.network[scores.measure == "consistency"])
    pairs = [
        (later, earlier)
        for earlier, later in combinations(scores.network.unique(), 2)
        if (earlier in classifiers) == (later in classifiers)
    ]
    return paired_comparisons(wide, [], measures, "photograph", pairs)


def _compared_text(comparisons: pd.DataFrame) -> str:
    names = {name: name for name in comparisons.measure.unique() if name.split(".")[0] in TOLD}
    chosen = comparisons[comparisons.measure.isin(list(names))]
    return comparisons_markdown(pd.DataFrame(chosen), [], names, "photograph")
