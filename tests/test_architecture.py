"""Rules of the house that no linter knows."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from kedro.framework.project import configure_project
from kedro.framework.project import pipelines as registered

from tests.conftest import PROJECT

MODULES = sorted((PROJECT / "src/posinfo").rglob("*.py"))
LONGEST_MODULE, LONGEST_FUNCTION = 300, 40


def relative(path):
    return str(path.relative_to(PROJECT))


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_modules_and_functions_stay_short(path):
    source = path.read_text()
    assert source.count("\n") <= LONGEST_MODULE
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef):
            body = node.body[1:] if ast.get_docstring(node) and len(node.body) > 1 else node.body
            assert node.end_lineno - body[0].lineno < LONGEST_FUNCTION, node.name


def test_tests_mirror_the_source():
    sources = {path.relative_to(PROJECT / "src/posinfo") for path in MODULES}
    for test in (PROJECT / "tests").rglob("test_*.py"):
        mirrored = test.relative_to(PROJECT / "tests").with_name(test.name.removeprefix("test_"))
        if mirrored.parts[0] != "integration" and test != Path(__file__):
            assert mirrored in sources, f"{relative(test)} tests no module of its name"


@pytest.mark.parametrize("path", [*MODULES, *(PROJECT / "conf").rglob("*.yml")], ids=relative)
def test_no_absolute_paths(path):
    for line in path.read_text().splitlines():
        assert not any(
            f"{quote}/{root}/" in line for quote in "\"' " for root in ("home", "Users", "tmp")
        )


def test_every_dataset_is_declared_and_used():
    configure_project("posinfo")
    declared = {
        name
        for file in (PROJECT / "conf/base").glob("catalog*.yml")
        for name in yaml.safe_load(file.read_text())
        if not name.startswith("_")
    }
    needed = {
        name
        for pipeline in registered.values()
        for name in pipeline.datasets()
        if not name.startswith("params:")
    }
    assert declared == needed


def test_science_runs_without_kedro_mlflow_and_optuna():
    code = """
import sys
for name in ("kedro", "kedro_mlflow", "mlflow", "optuna"):
    sys.modules[name] = None
import posinfo.measures.table1, posinfo.measures.figures, posinfo.measures.scores
import posinfo.networks.features, posinfo.networks.readouts, posinfo.stimuli.photos
"""
    subprocess.run([sys.executable, "-c", code], check=True)
