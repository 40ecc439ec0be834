"""`posinfo store` lists what lies in the store, and removes what cannot be reached, if asked to."""

import os

from tests.integration.forked import run_module

ONE_CELL = """
run:
  params:
    permutenet:
      only: [gapnet-none-location-3x3]
      seeds: [7]
      shared: {training: {epochs: 1}}
"""


def posinfo(project, *arguments):
    variables = {**os.environ, "COLUMNS": "200", "PYTHONPATH": str(project.root / "src")}
    return run_module("posinfo", *arguments, folder=project.root, environment=variables)


def lying(project):
    records = (project.data / "store").rglob("result.json")
    return {"/".join(record.parent.parts[-3:-1]) for record in records}


def test_store_lists_and_prunes_what_no_default_run_reaches(project):
    (project.root / "run.yml").write_text(ONE_CELL)
    result = project.run("--pipeline=permutenet", "--config=run.yml")
    assert result.returncode == 0, result.stdout + result.stderr
    everything = {f"permutenet/{step}" for step in ("images", "train", "evaluate", "report")}
    assert lying(project) == everything
    checkpoint = project.data / "store/checkpoints/permutenet-train-0123456789abcdef.pt"
    checkpoint.parent.mkdir(exist_ok=True)
    checkpoint.touch()
    dry = posinfo(project, "store", "--env=test", "--prune")
    rows = [line.split("│") for line in dry.stdout.splitlines() if "│ permutenet" in line]
    cells = {row[2].strip(): (row[3].strip(), row[7].strip()) for row in rows}
    assert cells == {
        "images": ("1", "0"), "train": ("1", "1"), "evaluate": ("1", "1"), "report": ("1", "1"),
    }  # fmt: skip
    assert "3 results, " in dry.stdout and "1 unfinished out of reach: --yes" in dry.stdout
    assert lying(project) == everything and checkpoint.exists()
    pruned = posinfo(project, "store", "--env=test", "--prune", "--yes")
    assert "1 unfinished removed" in pruned.stdout
    assert lying(project) == {"permutenet/images"} and not checkpoint.exists()


def test_report_of_the_cells_that_an_environment_chooses_is_in_reach(finished):
    """`conf/test` runs two of consistency's cells: their report is another than that of all."""
    listed = posinfo(finished("consistency"), "store", "--env=test").stdout
    rows = [line.split("│") for line in listed.splitlines() if "│ consistency" in line]
    assert {row[2].strip(): row[7].strip() for row in rows} == {
        "images": "0", "classify": "0", "report": "0",
    }  # fmt: skip
