"""The page of an audit: one HTML file that needs no other."""

from base64 import b64encode
from collections.abc import Mapping
from io import BytesIO
from typing import Any, NamedTuple

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined
from matplotlib.figure import Figure

TEMPLATE = "page.html.jinja"


class Section(NamedTuple):
    """A part of the page.

    Attributes:
        anchor: its id, which sentences of the verdict link to.
        title: its heading.
        text: what is shown, and how it was measured.
        figures: by caption.
        table: shown below the figures; None: there is none.
    """

    anchor: str
    title: str
    text: str
    figures: Mapping[str, Figure] = {}
    table: pd.DataFrame | None = None


def page(record: Mapping[str, Any], sections: list[Section]) -> str:
    """The whole page.

    Args:
        record: what audit.json holds.
        sections: in their order.
    """
    environment = Environment(
        loader=PackageLoader(__package__ or "", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["png"] = _png
    known = {section.anchor for section in sections}
    return environment.get_template(TEMPLATE).render(record=record, sections=sections, known=known)


def _png(figure: Figure) -> str:
    """A figure as base64."""
    picture = BytesIO()
    figure.savefig(picture, format="png", dpi=110)
    return b64encode(picture.getvalue()).decode()
