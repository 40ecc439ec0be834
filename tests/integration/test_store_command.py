"""`posinfo store` lists what lies in the store, and removes what cannot be reached, if asked to."""

import os
from collections import Counter

from tests.integration.conftest import Copy
from tests.integration.forked import run_module


def posinfo(project, *arguments):
    variables = {**os.environ, "COLUMNS": "200", "PYTHONPATH": str(project.root / "src")}
    return run_module("posinfo", *arguments, folder=project.root, environment=variables)


def lying(project):
    records = (project.data / "store").rglob("result.json")
    return Counter(record.parent.parts[-2] for record in records)


def test_store_lists_and_prunes_what_no_default_run_reaches(finished, tmp_path):
    project = Copy(tmp_path, finished("permutenet"))
    everything = {"images": 1, "train": 12, "evaluate": 12, "report": 1}
    assert lying(project) == everything
    settings = project.root / "conf/test/parameters_permutenet.yml"
    settings.write_text(settings.read_text().replace("seeds: [0, 1]", "seeds: [0]"))
    checkpoint = project.data / "store/checkpoints/permutenet-train-0123456789abcdef.pt"
    checkpoint.parent.mkdir(exist_ok=True)
    checkpoint.touch()
    dry = posinfo(project, "store", "--env=test", "--prune")
    rows = [line.split("│") for line in dry.stdout.splitlines() if "│ permutenet" in line]
    cells = {row[2].strip(): (row[3].strip(), row[7].strip()) for row in rows}
    assert cells == {
        "images": ("1", "0"), "train": ("12", "6"), "evaluate": ("12", "6"), "report": ("1", "1"),
    }  # fmt: skip
    assert "13 results, " in dry.stdout and "1 unfinished out of reach: --yes" in dry.stdout
    assert lying(project) == everything and checkpoint.exists()
    pruned = posinfo(project, "store", "--env=test", "--prune", "--yes")
    assert "1 unfinished removed" in pruned.stdout
    assert lying(project) == {"images": 1, "train": 6, "evaluate": 6} and not checkpoint.exists()


def test_report_of_the_cells_that_an_environment_chooses_is_in_reach(finished):
    """`conf/test` runs two of consistency's cells: their report is another than that of all."""
    listed = posinfo(finished("consistency"), "store", "--env=test").stdout
    rows = [line.split("│") for line in listed.splitlines() if "│ consistency" in line]
    assert {row[2].strip(): row[7].strip() for row in rows} == {
        "images": "0", "classify": "0", "report": "0",
    }  # fmt: skip
