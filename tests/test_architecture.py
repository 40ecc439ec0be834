"""Rules of the house that no linter knows."""

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from kedro.framework.project import configure_project
from kedro.framework.project import pipelines as registered
from kedro.io import DataCatalog

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


def catalog():
    text = (PROJECT / "conf/base/catalog.yml").read_text().replace("${globals:data}", "data")
    return DataCatalog.from_config(yaml.safe_load(text)), list(yaml.safe_load(text))


def test_every_dataset_is_declared_and_every_entry_is_used():
    configure_project("posinfo")
    declared, entries = catalog()
    needed = {
        name
        for pipeline in registered.values()
        for name in pipeline.datasets()
        if not name.startswith("params:")
    }
    used = set()
    for name in needed:
        pattern = declared.config_resolver.match_dataset_pattern(name) or name
        assert pattern in entries, f"no entry of the catalog is of {name}"
        used.add(pattern)
    assert used == set(entries)


def test_every_dataset_has_a_file_of_its_own():
    configure_project("posinfo")
    declared, _ = catalog()
    names = {n for p in registered.values() for n in p.datasets() if not n.startswith("params:")}
    places = [vars(declared.get(name)) for name in sorted(names)]  # of files, of folders
    files = [str(place["_filepath"]) for place in places]
    assert len(set(files)) == len(files)


def test_every_defect_of_the_campaign_can_be_planted():
    """In benchmarks/planted_defects.py, which says what each of them costs the tests."""
    command = [sys.executable, "benchmarks/planted_defects.py", "--list"]
    listed = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    assert listed.returncode == 0, listed.stdout + listed.stderr


KEDROS = (
    "hooks.py", "settings.py", "pipeline_registry.py", "audit_command.py", "store_command.py",
    "__main__.py",
)  # fmt: skip
SCIENCE = [
    ".".join(path.relative_to(PROJECT / "src").with_suffix("").parts).removesuffix(".__init__")
    for path in MODULES
    if path.relative_to(PROJECT / "src/posinfo").parts[0] not in ("pipelines", *KEDROS)
]


def test_science_runs_without_kedro_mlflow_and_optuna():
    """Every module is imported, and an experiment is planned."""
    code = f"""
import sys
for name in ("kedro", "kedro_datasets", "kedro_mlflow", "mlflow", "optuna"):
    sys.modules[name] = None
import importlib
for name in {SCIENCE}:
    importlib.import_module(name)
import torch, yaml
from posinfo.experiments import PERMUTENET
from posinfo.plan import plan
from posinfo.store import Store
sections = yaml.safe_load(open("conf/base/parameters_permutenet.yml"))
settings = PERMUTENET.settings.model_validate(sections)
planned = plan(PERMUTENET, settings, torch.device("cpu"), torch.float32)
assert not [c.key for c in planned["train"].values() if c.key in Store("nowhere")]
assert len(planned["train"]) == 4
"""
    assert {"posinfo.experiments.posenet.report", "posinfo.plan", "posinfo.grid"} <= set(SCIENCE)
    subprocess.run([sys.executable, "-c", code], check=True, cwd=PROJECT)


@pytest.mark.parametrize(
    ("module", "line", "broken"),
    [
        ("measures/metrics.py", "import kedro.io", "The science has never heard of Kedro"),
        ("measures/metrics.py", "import mlflow", "MLflow is known to tracking alone"),
        ("experiments/posenet/report.py", "import mlflow", "MLflow is known to tracking alone"),
        ("store.py", "from kedro.io import AbstractDataset", "The science has never heard of"),
        ("plan.py", "import posinfo.experiments", "Imports point one way"),
        ("stimuli/photos.py", "import posinfo.networks.surgery.blocks", "Imports point one way"),
    ],
)
def test_import_linter_holds_the_wall(tmp_path, module, line, broken):
    shutil.copytree(PROJECT / "src", tmp_path / "src", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(PROJECT / "pyproject.toml", tmp_path)
    file = tmp_path / "src/posinfo" / module
    file.write_text(f"{file.read_text()}\n{line}\n")
    result = subprocess.run(
        [Path(sys.executable).parent / "lint-imports", "--no-cache"],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(tmp_path / "src"), "COLUMNS": "200"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert result.returncode == 1, result.stdout + result.stderr
    found = [text for text in result.stdout.splitlines() if " BROKEN" in text]
    assert len(found) == 1 and found[0].startswith(broken)
