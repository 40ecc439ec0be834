"""Tables as CSV whose columns come back as they were, text as text and floats to the bit."""

from collections.abc import Hashable
from pathlib import Path
from typing import Any

import pandas as pd


def column_types(rows: pd.DataFrame | None) -> dict[str, str] | None:
    """The type of each column by its name, for ``read_rows``; None where there is no table."""
    if rows is None:
        return None
    return {name: "str" if kind.kind == "O" else str(kind) for name, kind in rows.dtypes.items()}


def read_rows(path: Path, columns: dict[Hashable, Any] | None) -> pd.DataFrame | None:
    """The table in a file: what looks like a number or NA in a text column stays a text.

    An empty number is NaN.

    Args:
        path: of the file.
        columns: of ``column_types``; None: there is no table.

    Raises:
        ValueError: the file has other columns.
    """
    if columns is None:
        return None
    numbers = {name: [""] for name, kind in columns.items() if kind != "str"}
    rows = pd.read_csv(path, dtype=columns, keep_default_na=False, na_values=numbers)
    if list(rows) != list(columns):
        raise ValueError(f"columns {list(columns)} were written; got {list(rows)}")
    return rows
