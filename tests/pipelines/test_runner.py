import logging
import os
import re
import signal
from dataclasses import replace
from datetime import datetime

import pandas as pd
import pytest
import torch
from pydantic import BaseModel, ValidationError

from posinfo.experiment import Cell, Experiment, Report, Result, Step
from posinfo.networks.training.devices import Machine, Parallel
from posinfo.pipelines import progress, runner, workers
from posinfo.pipelines.progress import StepBar
from posinfo.pipelines.runner import CellsFailedError, run_step
from posinfo.plan import plan
from posinfo.store import Store
from posinfo.work import Stopped

CPU = torch.device("cpu")


class NoSettings(BaseModel):
    pass


class NumberCell(Cell):
    number: int
    error: str = ""


class AwkwardError(Exception):
    """It cannot be read back from a pickle: it is made of two arguments and remembers one."""

    def __init__(self, first: int, second: int) -> None:
        super().__init__(f"{first} is not {second}")


def run(cell, inputs, work):
    if cell.error == "awkward":
        raise AwkwardError(3, 4)
    if cell.error == "interrupt":
        (work.folder / "half.npy").write_bytes(b"")
        raise KeyboardInterrupt
    if cell.error == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if cell.error:
        raise FloatingPointError(cell.error)
    work.on_total(2)
    work.on_progress(2)
    work.on_epoch(1, 0.5, 0.25)
    values = torch.rand(64, 64, generator=torch.Generator().manual_seed(cell.number))
    if inputs:
        values = values @ inputs["before"].tensors["values"]
    facts = {
        "tf32": torch.backends.cudnn.allow_tf32 or torch.backends.cuda.matmul.allow_tf32,
        "threads": torch.get_num_threads(),
        "dtype": str(work.dtype),
        "folder": work.folder.name,
        "checkpoint": work.checkpoint.name,
    }
    rows = pd.DataFrame({"mean": [values.mean().item()]})
    return Result(tensors={"values": (values @ values).softmax(0)}, rows=rows, facts=facts)


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path)


class Told:
    """What the runner told about each label."""

    def __init__(self) -> None:
        self.results = []

    def __call__(self, cell, computed):
        self.results.append((cell.label, computed))


def machine(n_jobs=1, threads=1, dtype=torch.float32):
    return Machine(CPU, dtype, Parallel(n_jobs=n_jobs, threads_per_job=threads))


def planned(**cells):
    """The cells of a step: by label, a number, the text of an error, or a whole cell."""

    def cell(value):
        if isinstance(value, Cell):
            return value
        return NumberCell(number=0, error=value) if isinstance(value, str) else number(value)

    steps = (
        Step("first", "modeling", lambda s: {"all": number(99)}, run),
        Step("squares", "modeling", lambda s: {n: cell(v) for n, v in cells.items()}, run),
    )
    report = Report({}, {}, {})
    experiment = Experiment("test", NoSettings, steps, lambda *_: report, (), (), ())
    return plan(experiment, NoSettings(), CPU, torch.float32)


def number(value, **inputs):
    return NumberCell(number=value, inputs=inputs)


def squares(**cells):
    return list(planned(**cells)["squares"].values())


def test_results_are_computed_and_kept(store):
    cells, told = squares(a=1, b=2), Told()
    run_step(cells, store, machine(), told)
    assert told.results == [("a", True), ("b", True)]
    assert sorted(store) == sorted(cell.key for cell in cells)
    result = store.open(cells[1].key)
    assert result.facts["checkpoint"] == store.checkpoint(cells[1].key).name
    assert result.facts["folder"].endswith(".partial")
    assert store.record(cells[0].key)["identity"] == cells[0].identity


def test_what_the_store_has_is_not_computed(store):
    run_step(squares(a=1), store, machine(), Told())
    (record,) = store.folder.rglob("result.json")
    before, told = record.stat(), Told()
    run_step(squares(b=2, a=1, c=3), store, machine(), told)
    assert told.results == [("a", False), ("b", True), ("c", True)]
    assert record.stat().st_mtime_ns == before.st_mtime_ns
    told = Told()
    run_step(squares(b=2, a=1, c=3), store, machine(), told)
    assert told.results == [("b", False), ("a", False), ("c", False)]


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_labels_that_share_a_result_are_each_told_once(store, n_jobs):
    cells = squares(a=1, b=2, also_a=1)
    assert cells[0].key == cells[2].key
    told = Told()
    run_step(cells, store, machine(n_jobs), told)
    assert sorted(told.results) == [("a", True), ("also_a", True), ("b", True)]
    told = Told()
    run_step(cells, store, machine(n_jobs), told)
    assert told.results == [("a", False), ("b", False), ("also_a", False)]


def test_result_that_another_process_makes_meanwhile_is_told(store):
    class Shared(Store):
        asked = 0

        def __contains__(self, key):
            self.asked += 1
            return self.asked > 1

    told = Told()
    run_step(squares(a=1, also_a=1), Shared(store.folder), machine(), told)
    assert sorted(told.results) == [("a", True), ("also_a", True)]


def test_inputs_are_opened_by_role(store):
    steps = planned(a=number(1, before="first/all"))
    run_step(list(steps["first"].values()), store, machine(), Told())
    run_step(list(steps["squares"].values()), store, machine(), Told())
    first, square = (store.open(steps[s][n].key) for s, n in (("first", "all"), ("squares", "a")))
    values = torch.rand(64, 64, generator=torch.Generator().manual_seed(1))
    values = values @ first.tensors["values"]
    assert torch.equal(square.tensors["values"], (values @ values).softmax(0))


def test_work_has_the_precision_of_the_machine(store):
    (cell,) = squares(a=1)
    run_step([cell], store, machine(dtype=torch.bfloat16), Told())
    assert store.open(cell.key).facts["dtype"] == "torch.bfloat16"


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_failed_cells_are_named_and_the_others_are_finished(store, n_jobs, caplog):
    cells, told = squares(a=1, b="the loss is infinite", c=3, d="awkward", e=5), Told()
    with pytest.raises(CellsFailedError) as raised:
        run_step(cells, store, machine(n_jobs), told)
    assert sorted(told.results) == [("a", True), ("c", True), ("e", True)]
    assert [cell.label for cell in cells if cell.key in store] == ["a", "c", "e"]
    first, second, *lines = str(raised.value).split("\n")
    assert first == ("2 of 5 cells of squares failed, the others are finished and kept:")
    assert [line.partition(" (")[0] for line in sorted([second, *lines])] == [
        "  b: FloatingPointError: the loss is infinite",
        "  d: AwkwardError: 3 is not 4",
    ]
    assert all(re.search(r"test_runner.py:\d+\)$", line) for line in [second, *lines])
    errors = [record.message for record in caplog.records if record.levelname == "ERROR"]
    assert sorted(errors) == sorted(line.strip() for line in [second, *lines])
    assert list(store.folder.rglob("*.partial")) == []


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_log_file_has_the_traceback_of_a_failed_cell(store, n_jobs, caplog):
    caplog.set_level("DEBUG", "posinfo")
    with pytest.raises(CellsFailedError):
        run_step(squares(a="diverged"), store, machine(n_jobs), Told())
    (trace,) = [record.message for record in caplog.records if record.levelname == "DEBUG"]
    assert "raise FloatingPointError(cell.error)" in trace


def test_finished_cells_are_not_computed_again_after_a_failure(store):
    with pytest.raises(CellsFailedError):
        run_step(squares(a=1, b="x"), store, machine(), Told())
    told = Told()
    with pytest.raises(CellsFailedError, match="^1 of 2 cells of squares failed"):
        run_step(squares(a=1, b="x"), store, machine(), told)
    assert told.results == [("a", False)]


def test_missing_input_fails_its_cell_alone(store):
    cells = squares(a=number(1, before="first/all"), b=2)
    with pytest.raises(CellsFailedError, match="  a: there is no result test/"):
        run_step(cells, store, machine(), Told())
    assert cells[1].key in store


def test_processes_compute_the_same_bits(tmp_path):
    cells = squares(**{f"n{value}": value for value in range(4)})
    one, two = Store(tmp_path / "one"), Store(tmp_path / "two")
    run_step(cells, one, machine(1), Told())
    run_step(cells, two, machine(2), Told())
    for cell in cells:
        first, second = one.open(cell.key), two.open(cell.key)
        assert torch.equal(first.tensors["values"], second.tensors["values"])
        pd.testing.assert_frame_equal(first.table, second.table, check_exact=True)
        assert first.facts["threads"] == second.facts["threads"] == 1
    hosts = [store.open(cells[0].key).facts["folder"].split(".")[-2] for store in (one, two)]
    assert hosts[0] != hosts[1]  # the numbers of the processes


@pytest.fixture
def threads():
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def bars(monkeypatch):
    """What the bar of a step is told."""
    told = []

    class Noted(StepBar):
        def start(self, label):
            told.append(f"start {label}")
            super().start(label)

        def total(self, amount):
            told.append(f"total {amount}")

        def advance(self, amount):
            told.append(f"advance {amount}")

        def epoch(self, *values):
            told.append(f"epoch {values}")

        def ended(self, cells):
            told.append(f"ended {cells}")

    monkeypatch.setattr(progress, "StepBar", Noted)
    return told


def test_bar_is_told_of_the_cell_in_work(store, bars):
    with pytest.raises(CellsFailedError):
        run_step(squares(a=1, b="error"), store, machine(), Told())
    assert bars == [
        "start a", "total 2", "advance 2", "epoch (1, 0.5, 0.25)", "ended 1", "start b", "ended 2",
    ]  # fmt: skip


def test_bar_names_no_cell_of_another_process(store, bars):
    run_step(squares(a=1, b=2), store, machine(2), Told())
    assert bars == ["ended 1", "ended 2"]


@pytest.mark.parametrize("cells", [{"a": 1}, {"a": "error"}, {"a": "interrupt"}])
def test_number_of_threads_is_restored(store, threads, cells):
    try:
        run_step(squares(**cells), store, machine(threads=2), Told())
    except (CellsFailedError, KeyboardInterrupt):
        pass
    else:
        assert store.open(next(iter(store))).facts["threads"] == 2
    assert torch.get_num_threads() == 3


@pytest.mark.parametrize(
    ("n_jobs", "threads_per_job", "expected"),
    [(1, None, 3), (2, None, 1), (9, None, 1), (1, 2, 2), (4, 7, 7)],
)
def test_threads_are_shared_by_the_processes(threads, n_jobs, threads_per_job, expected):
    parallel = Parallel(n_jobs=n_jobs, threads_per_job=threads_per_job)
    assert parallel.threads == expected


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"n_jobs": 0, "threads_per_job": None}, "n_jobs\n  Input should be greater than or equal"),
        ({"n_jobs": 1, "threads_per_job": 0}, "threads_per_job\n  Input should be greater than"),
        ({"n_jobs": 1}, "threads_per_job\n  Field required"),
        (
            {"n_jobs": 1, "threads_per_job": 1, "backends": "x"},
            "setting must be one of n_jobs",
        ),
    ],
)
def test_impossible_processes_are_refused(values, message):
    with pytest.raises(ValidationError, match=message):
        Parallel.model_validate(values)


def test_threads_are_torchs_own_unless_said_otherwise(store, threads):
    run_step(squares(a=1), store, machine(threads=None), Told())
    assert store.open(next(iter(store))).facts["threads"] == 3


@pytest.fixture
def tf32():
    places = (torch.backends.cuda.matmul, torch.backends.cudnn)
    before = [place.allow_tf32 for place in places]
    for place in places:
        place.allow_tf32 = True
    yield lambda: [place.allow_tf32 for place in places]
    for place, allowed in zip(places, before, strict=True):
        place.allow_tf32 = allowed


def test_float32_means_float32(store, tf32):
    run_step(squares(a=1), store, machine(), Told())
    assert not store.open(next(iter(store))).facts["tf32"]
    assert tf32() == [True, True]  # again


def test_interrupt_ends_the_run_and_leaves_no_partial_folder(store):
    cells, told = squares(a=1, b="interrupt", c=3), Told()
    with pytest.raises(KeyboardInterrupt):
        run_step(cells, store, machine(), told)
    assert told.results == [("a", True)]
    assert [cell.label for cell in cells if cell.key in store] == ["a"]
    assert list(store.folder.rglob("*.partial")) == [] == list(store.folder.rglob("half.npy"))


@pytest.fixture
def messages(caplog):
    def made(cells, store):
        with caplog.at_level(logging.INFO, runner.__name__):
            run_step(cells, store, machine(), Told())
        found = [record.message for record in caplog.records if record.name == runner.__name__]
        return [re.sub(r" in \d+\.\d s", " in TIME", message) for message in found]

    return made


def test_log_says_what_is_done(store, messages):
    run_step(squares(b=2), store, machine(), Told())
    assert messages(squares(a=1, b=2, c=3), store)[-2:] == [
        "squares 1/2: a in TIME",
        "squares 2/2: c in TIME",
    ]


def test_log_says_when_a_long_step_will_be_done(store, messages, monkeypatch):
    class Noon(datetime):
        @classmethod
        def now(cls, tz=None):
            return cls(2020, 1, 1, 12, 0)

    seconds = iter(range(0, 6000, 600))
    monkeypatch.setattr(runner, "perf_counter", lambda: next(seconds))
    monkeypatch.setattr(runner, "datetime", Noon)
    assert messages(squares(a=1, b=2, c=3), store) == [
        "squares 1/3: a in TIME; squares is done at about 12:20",
        "squares 2/3: b in TIME; squares is done at about 12:10",
        "squares 3/3: c in TIME",
    ]


def test_only_what_is_long_is_foretold(store, messages, monkeypatch):
    seconds = iter([0, runner.LONG / 2, runner.LONG, runner.LONG * 2])
    monkeypatch.setattr(runner, "perf_counter", lambda: next(seconds))
    assert not any("is done at" in line for line in messages(squares(a=1, b=2, c=3), store))


def test_failing_tracker_fails_its_cell_and_not_the_others(store):
    cells = squares(a=1, b=2)

    def tell(cell, computed):
        if cell.label == "a":
            raise OSError("the server is gone")

    with pytest.raises(CellsFailedError, match="  a: OSError: the server is gone"):
        run_step(cells, store, machine(), tell)
    assert all(cell.key in store for cell in cells)


def test_result_that_another_process_has_made_since_is_not_computed(store, monkeypatch):
    cells, told = squares(a=1, b="computed"), Told()

    def tell(cell, computed):
        told(cell, computed)
        if cell.label == "a":  # as another run of the same step would
            store.add(cells[1].key, {}, lambda folder: Result(facts={"made": "elsewhere"}))

    run_step(cells, store, machine(), tell)
    assert store.open(cells[1].key).facts == {"made": "elsewhere"}
    assert told.results == [("a", True), ("b", True)]


def test_other_process_with_other_code_computes_nothing(store):
    cells = squares(a=1, b=2)
    other = replace(cells[0], identity={**cells[0].identity, "code": "another"})
    with pytest.raises(CellsFailedError, match=r"1 of 2 .*\n  a: this worker on .* \(code\)"):
        run_step([other, cells[1]], store, machine(2), Told())
    assert other.key not in store and cells[1].key in store


def test_cells_of_a_process_that_dies_are_named(store, monkeypatch):
    monkeypatch.setattr(workers, "RERUNS", 1)
    with pytest.raises(CellsFailedError) as raised:
        killed = {label: NumberCell(number=i, error="killed") for i, label in enumerate("ab")}
        run_step(squares(**killed), store, machine(n_jobs=2), Told())
    text = str(raised.value)
    assert text.startswith("2 of 2 cells of squares failed")
    lost = r"^  (\w): a worker was lost 2 times: TerminatedWorkerError"
    assert re.findall(lost, text, flags=re.MULTILINE) == ["a", "b"]


def test_callback_of_an_epoch_stops_the_step(store):
    epochs, told = [], Told()

    def stop(*values):
        epochs.append(values)
        raise Stopped

    with pytest.raises(Stopped):
        run_step(squares(a=1, b=2), store, machine(), told, stop)
    assert epochs == [(1, 0.5, 0.25)] and told.results == [] and list(store) == []
    assert list(store.folder.rglob("*.partial")) == []
