"""A key of the code that a result depends on: comments and docstrings do not change it."""

import ast
import hashlib
import importlib.util
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path

PACKAGE = "posinfo"

Functions = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def code_key(modules: Iterable[str]) -> str:
    """Changes with the code of these modules and of what they import from their own packages.

    What is hashed is the syntax tree without docstrings. Followed are imports from the same
    top-level package, from posinfo, and of modules beside it: a user's files in one folder.

    Args:
        modules: dotted names.

    Raises:
        ModuleNotFoundError: Python does not find one of them.
        SyntaxError: one of them is not Python.
    """
    reached = sorted({name for module in modules for name in imported_modules(module)})
    digest = hashlib.sha256()
    for name in reached:
        digest.update(f"{name} {_module(name).tree_hash}".encode())
    return digest.hexdigest()[:16]


@lru_cache(maxsize=256)
def imported_modules(module: str) -> frozenset[str]:
    """The module and all modules of its package that it imports, directly or through others."""
    reached, waiting = set(), [module]
    while waiting:
        name = waiting.pop()
        if name not in reached:
            reached.add(name)
            waiting += _module(name).imports
    return frozenset(reached)


class _Module:
    def __init__(self, name: str) -> None:
        path = _source(name)
        if path is None:
            raise ModuleNotFoundError(f"there is no Python module {name!r}")
        tree = ast.parse(path.read_bytes(), filename=str(path))
        package = name if path.name == "__init__.py" else name.rpartition(".")[0]
        found = {imported for imported in _imports(tree, package) if _is_own(imported, name)}
        self.imports = sorted(found)
        self.tree_hash = hashlib.sha256(ast.dump(_without_strings(tree)).encode()).hexdigest()


@lru_cache(maxsize=1024)
def _module(name: str) -> _Module:
    return _Module(name)


def _imports(tree: ast.Module, package: str) -> Iterator[str]:
    """Every module that is named by an import, wherever it stands in the file."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = "." * node.level + (node.module or "")
            module = importlib.util.resolve_name(base, package) if node.level else base
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names)


def _is_own(name: str, importer: str) -> bool:
    """Whether an import is of code that belongs to the importer, and not of a library."""
    source, own = _source(name), _source(importer)
    if (
        source is None
        or own is None
        or name.partition(".")[0] in (importer.partition(".")[0], PACKAGE)
    ):
        return source is not None
    beside = own.parents[importer.count(".") + (own.name == "__init__.py")]
    return "site-packages" not in source.parts and source.is_relative_to(beside)


@lru_cache(maxsize=4096)
def _source(name: str) -> Path | None:
    """The file of a module; None if there is none, as for a function that is imported."""
    try:
        spec = importlib.util.find_spec(name)
    except ImportError:  # its parent is no package, or cannot be imported
        return None
    if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
        return None
    return Path(spec.origin)


def _without_strings(tree: ast.Module) -> ast.Module:
    """Without docstrings, and without the strings that document variables."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | Functions):
            node.body = [line for line in node.body if not _is_string(line)]
    return tree


def _is_string(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )
