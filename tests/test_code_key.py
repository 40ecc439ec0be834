import importlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from kedro.config import OmegaConfigLoader

from posinfo.code_key import code_key, imported_modules
from posinfo.networks.models.architectures import user_modules
from tests.conftest import PROJECT

SOURCE = '''
"""Of the module."""

from functools import lru_cache

LIMIT = 3
"""Of the constant."""


# a comment
@lru_cache
def double(value, factor=2):
    """Of the function."""
    text = "a text that is used"
    return value * factor if value < LIMIT else text


class Thing:
    """Of the class."""

    size: int = 0
    """Of the attribute."""
'''


class Package:
    """A package `mine` that a user has written."""

    def __init__(self, root: Path) -> None:
        self.folder = root / "mine"
        self.write("__init__", "")

    def write(self, module: str, text: str) -> None:
        path = self.folder / f"{module}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def key(self, *modules: str) -> str:
        """As a new process has it; the module remembers what it has read."""
        importlib.invalidate_caches()
        return fresh("posinfo.code_key").code_key(modules or ["mine.start"])


def fresh(name):
    spec = importlib.util.find_spec(name)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def package(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    yield Package(tmp_path)
    for name in [name for name in sys.modules if name.partition(".")[0] == "mine"]:
        del sys.modules[name]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("# a comment", "# another comment"),
        ("# a comment\n", ""),
        ("LIMIT = 3", "\n\nLIMIT = 3  # at most"),
        ("LIMIT = 3", "LIMIT  =  (3)"),
        ('"""Of the module."""', ""),
        ('"""Of the module."""', '"""Of this module, at length."""'),
        ("Of the constant", "Of this constant"),
        ('"""Of the function."""', '"""Of this function."""'),
        ('    """Of the function."""\n', ""),
        ("Of the class", "Of this class"),
        ("Of the attribute", "Of this attribute"),
        ('    """Of the attribute."""\n', ""),
    ],
)
def test_key_is_blind_to_what_is_not_computed(package, old, new):
    package.write("start", SOURCE)
    before = package.key()
    assert old in SOURCE
    package.write("start", SOURCE.replace(old, new, 1))
    assert package.key() == before


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("LIMIT = 3", "LIMIT = 4"),
        ("factor=2", "factor=3"),
        ("factor=2", "factor"),
        ("@lru_cache\n", ""),
        ("@lru_cache\n", "@lru_cache(maxsize=None)\n"),
        ("value * factor", "value + factor"),
        ("value * factor", "factor * value"),
        ("def double", "def twice"),
        ("text", "word"),
        ("a text that is used", "a text that was used"),
        ("size: int = 0", "size: float = 0"),
        ("return value", "assert value\n    return value"),
        ("class Thing:", "class Thing(dict):"),
    ],
)
def test_key_changes_with_the_code(package, old, new):
    package.write("start", SOURCE)
    before = package.key()
    assert old in SOURCE
    package.write("start", SOURCE.replace(old, new))
    assert package.key() != before


def test_renamed_variable_changes_the_key(package):
    package.write("start", "def run(value):\n    return value\n")
    before = package.key()
    package.write("start", "def run(number):\n    return number\n")
    assert package.key() != before


IMPORTS = {
    "module": "import mine.helper\n",
    "renamed module": "import mine.helper as other\n",
    "name": "from mine.helper import work\n",
    "everything": "from mine.helper import *\n",
    "module from its package": "from mine import helper\n",
    "relative name": "from .helper import work\n",
    "relative module": "from . import helper\n",
    "inside a function": "def run():\n    from mine.helper import work\n    return work()\n",
    "inside a condition": "if True:\n    import mine.helper\n",
    "inside a method": "class A:\n    def run(self):\n        from .helper import work\n",
}


@pytest.mark.parametrize("text", IMPORTS.values(), ids=IMPORTS)
def test_imported_module_counts(package, text):
    package.write("start", text)
    package.write("helper", "def work():\n    return 1\n")
    before = package.key()
    package.write("helper", "def work():\n    return 2\n")
    assert package.key() != before
    package.write("helper", "def work():  # two\n    return 1\n")
    assert package.key() == before


@pytest.mark.parametrize("text", ["from .. import deep", "from ..deep.end import work"])
def test_relative_import_from_a_package_below(package, text):
    package.write("below/__init__", "")
    package.write("below/start", text)
    package.write("deep/__init__", "from .end import work\n")
    package.write("deep/end", "def work(): return 1")
    before = package.key("mine.below.start")
    package.write("deep/end", "def work(): return 2")
    assert package.key("mine.below.start") != before


def test_relative_import_of_a_package_itself(package):
    package.write("deep/__init__", "from .end import work\n")
    package.write("deep/end", "def work(): return 1")
    before = package.key("mine.deep")
    package.write("deep/end", "def work(): return 2")
    assert package.key("mine.deep") != before


def test_module_counts_that_is_imported_through_another(package):
    package.write("start", "from mine.first import work\n")
    package.write("first", "from mine.second import work\n")
    package.write("second", "import mine.start\n\ndef work(): return 1")
    before = package.key()
    package.write("second", "import mine.start\n\ndef work(): return 2")
    assert package.key() != before


def test_module_that_nothing_imports_does_not_count(package):
    package.write("start", "import json\nfrom mine.helper import work\n")
    package.write("helper", "def work(): return 1")
    before = package.key()
    package.write("apart", "print('never imported')")
    assert package.key() == before


def test_new_import_changes_the_key(package):
    package.write("start", "def run(): return 1")
    package.write("helper", "")
    before = package.key()
    package.write("start", "import mine.helper\n\ndef run(): return 1")
    assert package.key() != before


def test_each_module_counts_once_in_any_order(package):
    package.write("start", "A = 1")
    package.write("helper", "B = 1")
    both = package.key("mine.start", "mine.helper")
    assert both == package.key("mine.helper", "mine.start", "mine.helper")
    assert len({both, package.key("mine.start"), package.key("mine.helper")}) == 3


def test_code_that_moves_to_another_module_changes_the_key(package):
    package.write("start", "A = 1")
    package.write("other", "A = 1")
    assert package.key("mine.start") != package.key("mine.other")


def test_libraries_do_not_count_and_posinfo_does(package):
    package.write("start", "import posinfo.choices, json, torch\nfrom pydantic import Field\n")
    package.key()
    assert imported_modules("mine.start") == {"mine.start", "posinfo.choices"}


def test_module_whose_import_fails_does_not_matter_where_it_is_caught(package):
    package.write(
        "start", "try:\n    from mine.fast import work\nexcept ImportError:\n    work = 1"
    )
    package.write("fast", "from mine import not_compiled\nwork = 2")
    assert package.key()


def test_source_with_a_byte_order_mark_or_another_encoding(package):
    package.write("start", "A = 'é'")
    before = package.key()
    (package.folder / "start.py").write_bytes("A = 'é'".encode("utf-8-sig"))
    assert package.key() == before
    (package.folder / "start.py").write_bytes("# coding: latin-1\nA = 'é'".encode("latin-1"))
    assert package.key() == before


def test_missing_module_is_named():
    with pytest.raises(ModuleNotFoundError) as raised:
        code_key(["posinfo.work", "posinfo.never_written"])
    assert str(raised.value) == "there is no Python module 'posinfo.never_written'"
    with pytest.raises(ModuleNotFoundError, match="^there is no Python module 'nobody.wrote.it'$"):
        code_key(["nobody.wrote.it"])


def test_module_that_is_no_python_is_named(package):
    package.write("start", "def run(:")
    with pytest.raises(SyntaxError) as raised:
        package.key()
    assert raised.value.filename == str(package.folder / "start.py")


# Prints every key of the plans at each state of the sources: a line read is an edit made. Children
# that are forked compute them, as the parent would remember the sources.
KEYS = """
import json, os, sys
import posinfo
from posinfo.code_key import code_key
from posinfo.experiments import EXPERIMENTS
from posinfo.pipelines.requests import Request

parameters = json.loads(sys.argv[1])
for _ in sys.stdin:
    if os.fork() == 0:
        keys = {}
        for name, experiment in EXPERIMENTS.items():
            request = Request.of(experiment, parameters)
            keys[name] = {
                step: {label: cell.key for label, cell in cells.items()}
                for step, cells in request.plan.items()
            }
            reported = [keys[name][step] for step in experiment.report_steps]
            keys[name]["report"] = {"": [code_key([experiment.report.__module__]), reported]}
        print(json.dumps({"file": posinfo.__file__, "keys": keys}), flush=True)
        os._exit(0)
    os.wait()
"""


class Project:
    """A copy of the package, and the keys of all results of its experiments."""

    def __init__(self, root: Path) -> None:
        self.source = root / "src" / "posinfo"
        ignored = shutil.ignore_patterns("__pycache__")
        loader = OmegaConfigLoader(
            str(PROJECT / "conf"),
            base_env="base",
            default_run_env="test",
            merge_strategy={"parameters": "soft"},
        )
        shutil.copytree(PROJECT / "src/posinfo", self.source, ignore=ignored)
        self.process = subprocess.Popen(
            [sys.executable, "-c", KEYS, json.dumps(loader["parameters"])],
            cwd=PROJECT,
            env={**os.environ, "PYTHONPATH": str(root / "src"), "PYTHONDONTWRITEBYTECODE": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.before = self.keys()

    def keys(self) -> dict[str, dict[str, dict[str, str]]]:
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        assert Path(answer["file"]).is_relative_to(self.source)
        return answer["keys"]

    def changed(self) -> set[tuple[str, str]]:
        """Steps of which a key changed; of which all did, or it is an error."""
        changed = set()
        for experiment, steps in self.keys().items():
            for step, cells in steps.items():
                before = self.before[experiment][step]
                new = {label for label, key in cells.items() if key != before[label]}
                assert new in (set(), set(before)), f"only {new} of {experiment}.{step} changed"
                changed |= {(experiment, step)} if new else set()
        return changed

    def edit(self, module: str, pattern: str, replacement: str) -> None:
        path = self.source / module
        text, count = re.subn(pattern, replacement, path.read_text(), count=1, flags=re.MULTILINE)
        assert count == 1
        path.write_text(text)

    def restore(self) -> None:
        shutil.copytree(PROJECT / "src/posinfo", self.source, dirs_exist_ok=True)


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    copy = Project(tmp_path_factory.mktemp("copy"))
    yield copy
    copy.process.communicate()


@pytest.fixture
def copy(project):
    yield project
    project.restore()


POSENET = ("posenet", "posenet_ablations")
FUNCTION = (r"^    return ", "    assert True\n    return ")


AUDITED = {("audit", step) for step in ("position", "judge", "report")}  # by readouts


def test_plans_have_keys_of_all_experiments(copy):
    steps = {name: list(keys) for name, keys in copy.before.items()}
    assert steps == {
        "posenet": ["images", "features", "readouts", "evaluate", "report"],
        "posenet_ablations": ["images", "features", "readouts", "evaluate", "report"],
        "permutenet": ["images", "train", "evaluate", "report"],
        "augshift": ["images", "train", "evaluate", "report"],
        "consistency": ["images", "classify", "report"],
        "channel_attack": [
            "scenes",
            "train",
            "channels",
            "attack",
            "images",
            "rank",
            "classify",
            "report",
        ],
        "audit": [
            "images", "structure", "features", "position", "context", "tiles", "answers", "judge",
            "report",
        ],
        "boundary": [
            "tiles", "pictures", "shift_images", "canvas_images", "shift_train", "canvas_train",
            "patch_location", "red_green", "distance", "reach", "shifts", "canvases", "report",
        ],
    }  # fmt: skip
    assert all(cells for keys in copy.before.values() for cells in keys.values())
    assert copy.keys() == copy.before


def test_comments_and_new_modules_recompute_nothing(copy):
    for module in ("networks/readouts/ridge.py", "stimuli/canvases.py", "experiment.py", "work.py"):
        copy.edit(module, r"\A", "# a comment\n")
        copy.edit(module, '"""', '"""Edited. ')
    (copy.source / "networks/brand_new.py").write_text("from posinfo.work import Work\n")
    (copy.source / "experiments/brand_new.py").write_text("from posinfo.plan import plan\n")
    assert copy.changed() == set()


def test_function_of_readouts_recomputes_readouts_and_what_follows(copy):
    copy.edit("networks/readouts/ridge.py", *FUNCTION)
    steps = ("readouts", "evaluate", "report")
    assert copy.changed() == {(name, step) for name in POSENET for step in steps} | AUDITED


def test_padding_recomputes_what_runs_networks_with_another_one(copy):
    copy.edit("networks/surgery/padding_mode.py", *FUNCTION)
    changed = copy.changed()
    assert {(name, "features") for name in POSENET} <= changed
    assert {("permutenet", "train"), ("consistency", "classify")} <= changed
    assert ("augshift", "train") not in changed  # its networks are as they were built


def test_function_of_canvases_recomputes_trainings_on_canvases_and_what_follows(copy):
    copy.edit("stimuli/canvases.py", *FUNCTION)
    of_boundary = {("boundary", step) for step in ("canvas_train", "canvases", "report")}
    of_permutenet = {("permutenet", step) for step in ("train", "evaluate", "report")}
    assert copy.changed() == of_permutenet | of_boundary


def test_function_of_a_measure_trains_nothing(copy):
    copy.edit("measures/scores.py", *FUNCTION)
    steps = ("evaluate", "report")
    assert copy.changed() == {(name, step) for name in POSENET for step in steps} | AUDITED


def test_function_of_a_figure_recomputes_its_report_alone(copy):
    copy.edit("measures/table1.py", *FUNCTION)
    assert {step for _, step in copy.changed()} == {"report"}


def test_glue_and_settings_recompute_nothing(copy):
    copy.edit("store.py", *FUNCTION)
    copy.edit("plan.py", *FUNCTION)
    copy.edit("pipelines/runner.py", *FUNCTION)
    copy.edit("grid.py", *FUNCTION)
    assert {step for _, step in copy.changed()} <= {"report"}


def test_files_beside_a_users_module_count_and_libraries_do_not(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "my_network.py").write_text("import numpy\nfrom my_layers import Block\n")
    layers = tmp_path / "my_layers.py"
    layers.write_text("from posinfo.networks.surgery.padding import repad\nBlock = 1\n")
    importlib.invalidate_caches()
    module = fresh("posinfo.code_key")
    reached = module.imported_modules("my_network")
    assert {"my_network", "my_layers", "posinfo.networks.surgery.padding"} <= reached
    assert not any(name.startswith("numpy") for name in reached)
    before = module.code_key(["my_network"])
    layers.write_text(layers.read_text().replace("Block = 1", "Block = 2"))
    assert fresh("posinfo.code_key").code_key(["my_network"]) != before


def test_package_without_init_has_the_code_of_its_modules(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "bare").mkdir()
    (tmp_path / "bare/nets.py").write_text("import torch\nfrom beside_bare import Block\n")
    (tmp_path / "beside_bare.py").write_text("Block = 1\n")
    importlib.invalidate_caches()
    assert user_modules("bare.nets:build") == ("bare.nets",)
    reached = fresh("posinfo.code_key").imported_modules("bare.nets")
    assert reached == {"bare.nets", "beside_bare"}
