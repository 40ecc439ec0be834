"""Lists of cells in YAML: shared settings, labels, refusal of equal cells, and a choice of them."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Generic, TypeVar

from pydantic import BaseModel, Field, ValidationError

from posinfo.choices import Label, Once, Seed, check, problems

Seeds = Annotated[tuple[Seed, ...], Field(min_length=1), Once]
Item = Mapping[str, Any]
C = TypeVar("C", bound=BaseModel)


class _Labelled(BaseModel):
    label: Label


@dataclass(frozen=True)
class Grid(Generic[C]):
    """How a list of items becomes cells.

    A label is made of a cell's first part and of what its item changes, field by field in the
    order of the model: ``vgg16-f1-k7``.

    Attributes:
        where: the list stands in the configuration, for messages.
        model: of a cell: the shared settings, changed by an item.
        first: part of a cell's label, from the cell.
        groups: other names of a cell that ``only`` may have.
        prefixes: of the values in a label, by field; ``None`` leaves a field out. Without one, it
            is the name of the field and a hyphen.
    """

    where: str
    model: type[C]
    first: Callable[[C], str]
    groups: Callable[[C], Iterable[str]] = lambda cell: ()
    prefixes: Mapping[str, str | None] = field(default_factory=dict)

    def cells(self, items: Iterable[Item], shared: Item, only: Sequence[str]) -> dict[str, C]:
        """The selected cells by label.

        Args:
            items: what each cell changes.
            shared: settings of every cell; a mapping in an item changes some of one in here.
            only: labels and groups of the cells to keep; empty: all.

        Raises:
            ValueError: an item that is no cell, two equal cells, or a name that there is not.
        """
        cells: dict[str, C] = {}
        for item in items:
            cell = self._cell(item, shared)
            label = self._label(cell, item)
            if label in cells:
                raise ValueError(f"{self.where}: {label} stands there twice")
            equal = next((other for other, known in cells.items() if known == cell), None)
            if equal:
                raise ValueError(f"{self.where}: {label} is the same as {equal}")
            cells[label] = cell
        names = {label: {label, *self.groups(cell)} for label, cell in cells.items()}
        known = dict.fromkeys([*(n for c in cells.values() for n in self.groups(c)), *cells])
        for name in only:
            check(f"{self.where.partition('.')[0]}.only", name, known)
        return {c: cells[c] for c in cells if not only or names[c] & set(only)}

    def _cell(self, item: Item, shared: Item) -> C:
        for name in [*shared, *item]:
            check(f"{self.where}: setting", name, self.model.model_fields)
        try:
            return self.model.model_validate(merged(shared, item))
        except ValueError as error:
            why = problems(error) if isinstance(error, ValidationError) else error
            raise ValueError(f"{self.where}: {dict(item)}: {why}") from error

    def _label(self, cell: C, item: Item) -> str:
        parts = _words(self.first(cell), apart=True)
        for name in self.model.model_fields:
            if name not in item or self.prefixes.get(name, "") is None:
                continue
            for setting, chosen in _leaves(name, item[name]):
                prefix = self.prefixes.get(setting, f"{setting}-")
                if prefix is not None:
                    parts += [f"{prefix}{word}" for word in _words(chosen, apart=not prefix)]
        return _Labelled(label="-".join(parts)).label


def merged(shared: Item, changes: Item) -> dict[str, Any]:
    """Shared settings with changes, which go into mappings at any depth.

    Raises:
        ValueError: a value where there are settings to change.
    """
    result = dict(shared)
    for name, value in changes.items():
        known = result.get(name)
        if isinstance(known, Mapping) and not isinstance(value, Mapping):
            raise ValueError(f"{name} must be a mapping of settings; got {value!r}")
        result[name] = merged(known, value) if isinstance(known, Mapping) else value
    return result


def one_value(value: object) -> object:
    """A setting as one value of a table or a label: ``255+0+0`` for a list."""
    return "+".join(map(str, value)) if isinstance(value, list | tuple) else value


def _leaves(name: str, value: object) -> Iterator[tuple[str, object]]:
    """The settings below a setting, at any depth, by their own names; or the setting itself."""
    if not isinstance(value, Mapping):
        yield name, value
        return
    for below, chosen in value.items():
        yield from _leaves(below, chosen)


def _words(value: object, *, apart: bool) -> list[str]:
    """A setting as it stands in a label; the values of a list apart or as one word."""
    if isinstance(value, list | tuple) and apart:
        return [word for part in value for word in _words(part, apart=True)]
    text = f"{value:g}" if isinstance(value, float) else str(one_value(value))
    return [text.replace(":", ".").replace("/", ".").replace("(", ".").replace(")", "")]
