"""Published numbers: from one line per number to the rows that our tables are joined with.

published.csv, beside this module, has one line per number that a paper prints. Its columns ``row``
and ``column`` say where in the paper's table the number stands: ``key=value`` pairs, joined by
``; ``.
"""

from collections.abc import Collection, Mapping, Sequence

import pandas as pd

from posinfo.choices import check

COLUMNS = ["paper", "table", "row", "column", "metric", "value", "source", "note"]


def published_rows(published: pd.DataFrame, paper: str, tables: Sequence[str]) -> pd.DataFrame:
    """The numbers of some tables of one paper, those of one place and source side by side.

    Example:
        .. code-block:: python

            published = pd.read_csv(
                "src/posinfo/measures/published.csv", keep_default_na=False, na_values=[""]
            )
            rows = published_rows(published, "islam2021", ["Experiment 2"])
            rows.query("method == 'augshift' and dataset == 'cifar10'").accuracy  # 0.921

    Args:
        published: published.csv; one row per number, columns ``COLUMNS``, of which
            ``value`` is a float and the others are text.
        paper: as the file names it (``islam2020``).
        tables: as the file names them (``Table 1``).

    Returns:
        A row for each table, place and source, in the order of the file: ``table``, a column per
        key (numbers where all its values are numbers, NaN where a place lacks the key),
        ``source``, ``note`` (text, empty where there is none) and a float column per metric, NaN
        where it is not published there.

    Raises:
        ValueError: the paper or a table is not in the file, a place is not written in pairs of
            keys and values, or a number stands there twice.
    """
    lines = _lines_of(published, paper, tables)
    metrics = list(lines.metric.unique())
    reserved = {"table", "source", "note", *metrics}
    rows: dict[tuple, dict] = {}
    keys: dict[str, None] = {}  # in the order of the file
    for line in lines.to_dict("records"):
        place = _pairs(line["row"], line["column"], reserved)
        keys |= dict.fromkeys(place)
        row = {"table": line["table"], **place, "source": line["source"], "note": ""}
        row = rows.setdefault((line["table"], frozenset(place.items()), line["source"]), row)
        _add(row, line)
    frame = pd.DataFrame(rows.values(), columns=["table", *keys, "source", "note", *metrics])
    return frame.assign(**{key: _numbers(frame.loc[:, key]) for key in keys})


def beside_published(
    table: pd.DataFrame,
    theirs: pd.DataFrame,
    keys: list[str],
    columns: Mapping[str, str],
    alone: pd.Series | None = None,
) -> pd.DataFrame:
    """Our table with columns of the published rows to the right of its own.

    Args:
        table: ours, one row per cell.
        theirs: published rows, at most one for each combination of the keys.
        keys: columns of both; rows that are equal in all of them belong together.
        columns: of ``theirs`` that are wanted, and what each is called beside ours.
        alone: True for the cells that are compared with no published number, whatever their keys;
            None: for none.

    Returns:
        Our rows in their order; the new columns are NaN where nothing is published.
    """
    wanted = theirs.rename(columns=dict(columns))[[*keys, *columns.values()]]
    joined = table.merge(wanted, on=keys, how="left", validate="many_to_one")
    if alone is not None:
        for name in columns.values():
            joined[name] = joined[name].mask(alone.to_numpy())
    return joined


def _lines_of(published: pd.DataFrame, paper: str, tables: Sequence[str]) -> pd.DataFrame:
    """The lines of some tables of one paper; text that is missing is empty."""
    check("paper", paper, published.paper.unique())
    of_paper = published.paper == paper
    for table in tables:
        check(f"table of {paper}", table, published.table[of_paper].unique())
    lines = published.loc[of_paper & published.table.isin(tables), COLUMNS].copy()
    for name in COLUMNS:
        if name != "value":
            lines[name] = lines[name].astype(object).fillna("")
    return lines


def _pairs(row: str, column: str, reserved: Collection[str]) -> dict[str, str]:
    """What ``model=VGG; arch=vgg16`` and ``pattern=horizontal`` say together."""
    pairs = [part.partition("=") for text in (row, column) for part in text.split("; ") if part]
    keys = [key for key, _, _ in pairs]
    if not all(key and equals and value for key, equals, value in pairs):
        raise ValueError(
            "row and column of a published number must be key=value pairs joined by '; '; "
            f"got {row!r} and {column!r}"
        )
    if refused := {key for key in keys if keys.count(key) > 1 or key in reserved}:
        raise ValueError(
            "row and column of a published number must name each key once, and none of "
            f"{', '.join(sorted(reserved))}; got {', '.join(sorted(refused))} in {row!r} and "
            f"{column!r}"
        )
    return {key: value for key, _, value in pairs}


def _add(row: dict, line: dict) -> None:
    """Write the number of a line, and its note, into the row of its place and source."""
    if line["metric"] in row:
        raise ValueError(
            "a published number must stand in the file once; twice there: "
            + ", ".join(str(line[name]) for name in COLUMNS[:5])
            + f" ({line['source']})"
        )
    row[line["metric"]] = line["value"]
    notes = dict.fromkeys([row["note"], line["note"]])
    row["note"] = "; ".join(note for note in notes if note)


def _numbers(values: pd.Series) -> pd.Series:
    """Text as numbers where all of it can be read as such."""
    try:
        return pd.Series(pd.to_numeric(values), values.index)
    except ValueError:
        return values
