"""Labels of cells, and lists that name each thing once."""

LABEL = r"^[A-Za-z0-9][\w.+-]*$"  # it names files


def no_repeats(values: tuple) -> tuple:
    """The values themselves.

    Raises:
        ValueError: one of them stands there twice.
    """
    repeated = sorted({str(value) for value in values if values.count(value) > 1})
    if repeated:
        raise ValueError(f"each value may stand once; repeated: {', '.join(repeated)}")
    return values
