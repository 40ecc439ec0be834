import errno
import multiprocessing
import os
import re
import signal
import socket
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors import SafetensorError

from posinfo.experiment import Result
from posinfo.store import Store, is_finished, key_of
from posinfo.work import Work
from posinfo.writing import UnwritableError

KEY = "experiment/step/0123456789abcdef"
IDENTITY = {"settings": {"size": 3, "names": ["a", "b"]}, "inputs": {}, "code": "c"}
DEAD = 2**22 + 1  # beyond the largest process number


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


@pytest.fixture
def round_trip(store):
    def keep(result: Result) -> Result:
        store.add(KEY, IDENTITY, lambda folder: result)
        return store.open(KEY)

    return keep


def left_overs(store):
    return [path.name for path in store.folder.rglob("*.partial")]


def test_floats_of_rows_come_back_bit_for_bit(round_trip):
    bits = np.random.default_rng(0).integers(0, 2**64, 20_000, dtype=np.uint64)
    values = bits.view(np.float64)
    special = [0.1 + 0.2, 1 / 3, 5e-324, 1.7976931348623157e308, -0.0, np.inf, -np.inf, np.nan]
    values = np.concatenate([values[np.isfinite(values)], special, np.random.rand(20_000)])
    rows = round_trip(Result(rows=pd.DataFrame({"x": values}))).table
    assert rows.x.dtype == np.float64
    np.testing.assert_array_equal(rows.x.to_numpy().view(np.uint64), values.view(np.uint64))


def test_single_floats_of_rows_come_back_bit_for_bit(round_trip):
    bits = np.random.default_rng(0).integers(0, 2**32, 20_000, dtype=np.uint32)
    values = bits.view(np.float32)
    values = values[np.isfinite(values)]
    rows = round_trip(Result(rows=pd.DataFrame({"x": values}))).table
    assert rows.x.dtype == np.float32
    np.testing.assert_array_equal(rows.x.to_numpy().view(np.uint32), values.view(np.uint32))


TEXTS = ["", "NA", "nan", "None", "null", "007", "1e5", "True", " a ", "a,b", 'a "b"', "a\nb", "é#"]


def test_texts_of_rows_stay_texts(round_trip):
    rows = pd.DataFrame({"text": TEXTS, "number": np.arange(len(TEXTS)) / 7})
    found = round_trip(Result(rows=rows)).table
    assert found.text.tolist() == TEXTS
    pd.testing.assert_frame_equal(found, rows, check_exact=True)


def test_columns_of_numbers_written_as_text_stay_texts(round_trip):
    rows = pd.DataFrame({"grid": ["3", "5"], "table": ["2a", "2b"], "empty": ["", ""]})
    pd.testing.assert_frame_equal(round_trip(Result(rows=rows)).table, rows)


def test_types_of_columns_come_back(round_trip):
    rows = pd.DataFrame(
        {
            "int": [1, 2, -3],
            "small": np.array([1, 2, 3], np.int32),
            "large": np.array([2**63, 1, 0], np.uint64),
            "missing": pd.array([1, None, 2**53 + 1], "Int64"),
            "bool": [True, False, True],
            "float": [np.nan, 1.0, 2.0],
            "whole": [1.0, 2.0, 3.0],
        }
    )
    pd.testing.assert_frame_equal(round_trip(Result(rows=rows)).table, rows, check_exact=True)


def test_objects_of_rows_that_are_texts_come_back_as_texts(round_trip):
    rows = pd.DataFrame({"text": pd.Series(["1", ""], dtype=object)})
    assert round_trip(Result(rows=rows)).table.text.tolist() == ["1", ""]


def test_rows_may_be_none_or_empty(store):
    store.add("e/s/none", IDENTITY, lambda folder: Result())
    assert store.open("e/s/none") == Result()
    with pytest.raises(AssertionError):
        _ = store.open("e/s/none").table
    empty = pd.DataFrame({"x": np.zeros(0), "text": pd.Series([], dtype="str")})
    store.add("e/s/empty", IDENTITY, lambda folder: Result(rows=empty))
    pd.testing.assert_frame_equal(store.open("e/s/empty").table, empty, check_index_type=False)


def tensors():
    values = torch.arange(24.0).reshape(4, 6)
    return {
        "bfloat16": torch.tensor([1.0, 1 / 3, torch.nan]).bfloat16(),
        "float16": torch.tensor([1 / 3]).half(),
        "double": torch.tensor([1 / 3, -0.0], dtype=torch.float64),
        "int64": torch.tensor([2**62, -1]),
        "uint8": torch.arange(256).byte(),
        "bool": torch.tensor([True, False]),
        "transposed": values.T,
        "strided": values[::2, 1::2],
        "one row": values[2],
        "other row": values[3],
        "expanded": torch.ones(1).expand(3),
        "scalar": torch.tensor(3),
        "empty": torch.zeros(0, 3),
        "empty too": torch.zeros(2, 0, dtype=torch.int32),
        "with.gradient": torch.ones(2, requires_grad=True),
    }


def test_tensors_come_back_bit_for_bit(round_trip):
    kept = tensors()
    found = round_trip(Result(tensors=kept)).tensors
    assert found.keys() == kept.keys()
    for name, tensor in kept.items():
        assert (found[name].dtype, found[name].shape) == (tensor.dtype, tensor.shape), name
        same = tensor.detach().contiguous().flatten()
        if same.numel():
            assert torch.equal(found[name].flatten().view(torch.uint8), same.view(torch.uint8)), (
                name
            )


def test_tensor_under_two_names_comes_back_under_both(round_trip):
    weight = torch.rand(3, 2)
    found = round_trip(Result(tensors={"first": weight, "second": weight, "third": weight.T}))
    assert torch.equal(found.tensors["first"], weight)
    assert torch.equal(found.tensors["second"], weight)
    assert torch.equal(found.tensors["third"], weight.T)


def test_arrays_come_back_memory_mapped(round_trip):
    values = np.random.default_rng(0).random((4, 6))
    kept = {
        "a": values,
        "b": values.T,
        "c": values[::2, ::3].astype(np.float16),
        "d": np.zeros((0, 3), np.uint8),
        "e.f": np.array(3),
    }
    found = round_trip(Result(arrays=kept)).arrays
    assert found.keys() == kept.keys()
    for name, array in kept.items():
        assert found[name].dtype == array.dtype
        np.testing.assert_array_equal(found[name], array)
        assert isinstance(found[name], np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        found["a"][0] = 0


def test_arrays_of_work_stay_where_they_were_written(store):
    files = []

    def compute(folder):
        parts = (np.full((1, 3), number, np.float16) for number in range(4))
        array = Work(folder=folder).array("features", (4, 3), np.float16, parts)
        files.append((folder / "features.npy").stat().st_ino)
        return Result(arrays={"features": array})

    store.add(KEY, IDENTITY, compute)
    found = store.open(KEY).arrays["features"]
    assert isinstance(found, np.memmap)
    np.testing.assert_array_equal(found, np.arange(4)[:, None].repeat(3, 1))
    assert (store.path(KEY) / "features.npy").stat().st_ino == files[0]


def test_history_facts_and_files_come_back(round_trip):
    kept = Result(
        history={"loss": [0.1 + 0.2, 1 / 3], "empty": []},
        facts={"epoch": 3, "names": [["a", 1], ["b", None]], "nested": {"x": 0.1}},
        files={"table.csv": b"a,b\r\n", "text.md": "é".encode(), "picture.png": bytes(range(256))},
    )
    found = round_trip(kept)
    assert (found.history, found.facts) == (kept.history, kept.facts)
    assert found.files == kept.files


def test_history_may_be_any_sequence_of_numbers(round_trip):
    found = round_trip(Result(history={"loss": (1.0, 2.0), "mean": np.array([0.1, 0.2])}))
    assert found.history == {"loss": [1.0, 2.0], "mean": [0.1, 0.2]}


def test_result_is_absent_until_it_is_complete(store):
    seen = []

    def compute(folder):
        seen.append((KEY in store, list(store), folder.is_dir()))
        (folder / "result.json").write_text("{}")
        seen.append((KEY in store, list(store), folder.is_dir()))
        return Result(facts={"done": True})

    assert KEY not in store and "" not in store
    seconds = store.add(KEY, IDENTITY, compute)
    assert seen == [(False, [], True)] * 2
    assert KEY in store and list(store) == [KEY]
    assert is_finished(store.path(KEY)) and key_of(store.path(KEY)) == KEY
    assert store.record(KEY)["seconds"] == pytest.approx(seconds, abs=1e-3)


def test_record_says_what_the_result_depends_on(store):
    store.add(KEY, IDENTITY, lambda folder: Result(facts={"a": 1}))
    record = store.record(KEY)
    assert record["identity"] == IDENTITY
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", record["created"])
    assert '"size": 3' in (store.path(KEY) / "result.json").read_text()


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_interrupted_computation_leaves_nothing(store, error):
    def compute(folder):
        (folder / "features.npy").write_bytes(b"half")
        raise error

    with pytest.raises(error):
        store.add(KEY, IDENTITY, compute)
    assert KEY not in store and list(store) == []
    assert [path for path in store.folder.rglob("*") if path.is_file()] == []
    assert left_overs(store) == []


def test_result_that_cannot_be_written_leaves_nothing(store):
    with pytest.raises(ValueError, match="Out of range float values are not JSON compliant"):
        store.add(KEY, IDENTITY, lambda folder: Result(facts={"loss": float("nan")}))
    with pytest.raises(TypeError, match="not JSON serializable"):
        store.add(KEY, IDENTITY, lambda folder: Result(facts={"tensor": torch.ones(1)}))
    assert KEY not in store and left_overs(store) == []


def partial(store, process, host=None):
    target = store.path(KEY)
    name = f".{target.name}.{host or socket.gethostname()}.{process}.partial"
    folder = target.with_name(name)
    folder.mkdir(parents=True)
    (folder / "result.json").write_text("{}")
    return folder


def test_partial_folder_is_no_result(store):
    partial(store, DEAD)
    assert list(store) == [] and KEY not in store


def test_leftovers_of_a_killed_process_are_removed(store):
    left = partial(store, DEAD)
    store.add(KEY, IDENTITY, lambda folder: Result())
    assert not left.exists()
    assert list(store) == [KEY]


def test_partial_folder_of_a_living_process_is_left_alone(store):
    left = partial(store, os.getppid())
    store.add(KEY, IDENTITY, lambda folder: Result())
    assert (left / "result.json").exists()


def test_partial_folder_of_another_host_is_left_alone(store):
    left = partial(store, DEAD, host="elsewhere")
    store.add(KEY, IDENTITY, lambda folder: Result())
    assert (left / "result.json").exists()


def test_partial_folder_names_process_and_host(store):
    store.add(KEY, IDENTITY, lambda folder: Result(facts={"folder": folder.name}))
    writer = re.escape(f"{socket.gethostname()}.{os.getpid()}")
    name = rf"\.{store.path(KEY).name}\.{writer}-[0-9a-f]{{8}}\.partial"
    assert re.fullmatch(name, store.open(KEY).facts["folder"])


def _killed(store):
    def compute(folder):
        (folder / "features.npy").write_bytes(b"half")
        os.kill(os.getpid(), signal.SIGKILL)

    store.add(KEY, IDENTITY, compute)


def test_killed_process_leaves_no_result_and_the_next_one_makes_it(store):
    process = multiprocessing.get_context("fork").Process(target=_killed, args=[store])
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert len(left_overs(store)) == 1 and KEY not in store
    store.add(KEY, IDENTITY, lambda folder: Result())
    assert left_overs(store) == [] and not store.open(KEY).arrays


def _together(store, barrier, number, failed):
    def compute(folder):
        barrier.wait(10)
        return Result(facts={"number": number}, arrays={"x": np.full(10_000, number)})

    try:
        store.add(KEY, IDENTITY, compute)
        assert store.open(KEY).facts["number"] == store.open(KEY).arrays["x"][-1]
    except BaseException as error:
        failed.put(repr(error))


def test_processes_that_make_the_same_result_at_once_all_succeed(store):
    context = multiprocessing.get_context("fork")
    barrier, failed = context.Barrier(3), context.SimpleQueue()
    processes = [
        context.Process(target=_together, args=[store, barrier, number, failed])
        for number in range(3)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(20)
    assert failed.empty(), failed.get()
    assert list(store) == [KEY] and left_overs(store) == []


def test_first_of_equal_results_is_kept(store):
    def compute(folder):
        store_of_another = Store(store.folder)
        other = store.path(KEY).with_name("other")
        store_of_another.add(f"experiment/step/{other.name}", IDENTITY, lambda _: Result())
        other.rename(store.path(KEY))
        return Result(facts={"late": True})

    store.add(KEY, IDENTITY, compute)
    assert store.open(KEY).facts == {}
    assert left_overs(store) == []


def test_result_is_made_where_a_removal_was_interrupted(store):
    store.add(KEY, IDENTITY, lambda folder: Result(arrays={"x": np.ones(2)}))
    (store.path(KEY) / "result.json").unlink()
    assert KEY not in store
    store.add(KEY, IDENTITY, lambda folder: Result(facts={"again": 1}))
    assert store.open(KEY) == Result(facts={"again": 1})


FULL = Result(
    tensors={"t": torch.ones(3)},
    arrays={"a": np.ones(3)},
    rows=pd.DataFrame({"x": [0.5]}),
)


def _truncated(file):
    file.write_bytes(file.read_bytes()[:-1])
    return f"{file} has {file.stat().st_size} bytes, {file.stat().st_size + 1} were written"


def _empty(file):
    size = file.stat().st_size
    file.write_bytes(b"")
    return f"{file} has 0 bytes, {size} were written"


def _absent(file):
    file.unlink()
    return f"{file} is missing"


def _overwritten(where):
    def overwrite(file):
        content = bytearray(file.read_bytes())
        content[where] ^= 1
        file.write_bytes(content)
        return f"{file} is not what was written"

    return overwrite


LARGE = Result(
    tensors={"x": torch.ones(100_000)},
    arrays={"a": np.ones(100_000)},
    rows=pd.DataFrame({"x": np.arange(100_000) / 7}),
    files={"table.md": b"|" * 200_000},
)
FILES = ("tensors.safetensors", "a.npy", "rows.csv", "files/table.md")
ENDS = [_truncated, _empty, _absent, _overwritten(-1), _overwritten(8)]


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("damage", ENDS)
def test_damaged_file_is_named_and_its_result_is_absent(store, file, damage):
    store.add(KEY, IDENTITY, lambda folder: LARGE)
    assert KEY in store
    said = damage(store.path(KEY) / file)
    assert KEY not in store and not is_finished(store.path(KEY))
    assert store.damage(KEY) == said
    with pytest.raises(ValueError) as raised:
        store.open(KEY)
    assert str(raised.value) == f"{said}; run again, or remove {store.path(KEY)}"


@pytest.mark.parametrize("file", FILES)
def test_damage_in_the_middle_of_a_file_is_found_on_request(store, file):
    store.add(KEY, IDENTITY, lambda folder: LARGE)
    assert store.damage(KEY) == ""
    said = _overwritten(100_000)(store.path(KEY) / file)
    assert KEY in store
    assert store.damage(KEY) == said


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("0.91", "0.19"),
        lambda text: "",
        lambda text: "[1]",
        lambda text: '{"files": []}',
        lambda text: text[:-3],
    ],
)
def test_record_that_is_not_what_was_written_is_damage(store, change):
    """It holds numbers of its own."""
    store.add(KEY, IDENTITY, lambda folder: Result(facts={"accuracy": 0.91}))
    record = store.path(KEY) / "result.json"
    record.write_text(change(record.read_text()))
    assert KEY not in store
    with pytest.raises(ValueError, match="result.json is "):
        store.open(KEY)


def test_process_that_sets_the_same_damage_aside_at_the_same_moment_is_let(store, monkeypatch):
    store.add(KEY, IDENTITY, lambda folder: FULL)
    (store.path(KEY) / "a.npy").unlink()
    rename = Path.rename

    def other_is_faster(path, target):
        if path == store.path(KEY):
            rename(path, f"{target}.other")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", other_is_faster)
    store.add(KEY, IDENTITY, lambda folder: FULL)
    assert KEY in store


def test_array_of_another_shape_is_not_taken(store):
    store.add(KEY, IDENTITY, lambda folder: LARGE)
    np.save(store.path(KEY) / "a.npy", np.ones((1000, 100)))
    assert KEY not in store


def test_damaged_result_is_set_aside_with_a_warning_when_it_is_computed_again(store, caplog):
    store.add(KEY, IDENTITY, lambda folder: LARGE)
    said = _truncated(store.path(KEY) / "a.npy")
    store.add(KEY, IDENTITY, lambda folder: LARGE)
    (aside,) = store.leftovers()
    assert aside.parent == store.path(KEY).parent and (aside / "a.npy").is_file()
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert record.message == f"{said}; it was computed again, and what was there is in {aside}"
    assert KEY in store and list(store) == [KEY] and store.damage(KEY) == ""


def test_damaged_record_is_set_aside_too(store):
    store.add(KEY, IDENTITY, lambda folder: FULL)
    (store.path(KEY) / "result.json").write_text("{")
    assert KEY not in store
    store.add(KEY, IDENTITY, lambda folder: FULL)
    assert KEY in store and len(store.leftovers()) == 1


@pytest.mark.parametrize("content", ["", "{", '{"identity'])
def test_damaged_record_is_named(store, content):
    store.add(KEY, IDENTITY, lambda folder: FULL)
    record = store.path(KEY) / "result.json"
    record.write_text(content)
    for read in (store.open, store.record):
        with pytest.raises(ValueError) as raised:
            read(KEY)
        assert str(raised.value).startswith(f"{record} is damaged; remove its folder: ")


def test_missing_result_is_named(store):
    with pytest.raises(FileNotFoundError) as raised:
        store.open(KEY)
    assert str(raised.value) == f"there is no result {KEY} in {store.folder}"


def test_checkpoint_is_removed_once_the_result_is_there(store):
    checkpoint = store.checkpoint(KEY)
    assert checkpoint.parent == store.folder / "checkpoints"
    assert store.checkpoint(KEY.replace("step", "other")) != checkpoint
    checkpoint.parent.mkdir(parents=True)
    checkpoint.write_bytes(b"epoch 3")

    def fail(folder):
        raise RuntimeError

    with pytest.raises(RuntimeError):
        store.add(KEY, IDENTITY, fail)
    assert checkpoint.read_bytes() == b"epoch 3"
    assert store.checkpoints() == {checkpoint}
    store.add(KEY, IDENTITY, lambda folder: Result())
    assert not checkpoint.exists() and store.checkpoints() == set()


def test_keys_are_sorted_and_those_of_results_alone(store):
    assert list(store) == []
    keys = ["b/train/2", "a/train/1", "b/evaluate/3"]
    for key in keys:
        store.add(key, IDENTITY, lambda folder: Result(files={"table.csv": b""}))
    (store.path("b/train/unfinished")).mkdir()
    store.checkpoint("b/train/4").parent.mkdir()
    store.checkpoint("b/train/4").write_bytes(b"")
    assert list(store) == ["a/train/1", "b/evaluate/3", "b/train/2"]


def test_size_of_a_result_is_that_of_all_its_files(store):
    files = {"picture.png": bytes(5000)}
    store.add(KEY, IDENTITY, lambda folder: Result(arrays={"a": np.zeros(1000)}, files=files))
    record = (store.path(KEY) / "result.json").stat().st_size
    assert store.size(KEY) == 128 + 8000 + 5000 + record  # NumPy's header has 128 bytes


def test_removed_result_is_gone(store):
    store.add(KEY, IDENTITY, lambda folder: FULL)
    store.remove(KEY)
    assert KEY not in store and not store.path(KEY).exists()


def test_every_file_reaches_the_disk_before_the_result_appears(store, monkeypatch):
    synced = []
    sync = os.fsync

    def note(descriptor):
        assert KEY not in store
        path = os.readlink(f"/proc/self/fd/{descriptor}")
        synced.append(path.rpartition(".partial")[2].strip("/"))
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", note)
    store.add(KEY, IDENTITY, lambda folder: FULL)
    assert set(synced) == {"", "a.npy", "rows.csv", "tensors.safetensors", "result.json"}


def test_full_disk_leaves_no_result_and_is_one_error_whoever_writes(store, monkeypatch):
    def full(*arguments):
        raise SafetensorError("I/O error: No space left on device (os error 28)")

    monkeypatch.setattr("posinfo.store.save_file", full)
    said = r"^the result .* cannot be written, is the disk full\? .* \(os error 28\)$"
    with pytest.raises(UnwritableError, match=said):
        store.add(KEY, IDENTITY, lambda folder: FULL)
    assert KEY not in store and store.leftovers() == []


def test_half_written_checkpoints_of_killed_processes_go_with_the_checkpoint(store):
    checkpoint = store.checkpoint(KEY)
    checkpoint.parent.mkdir(parents=True)
    here = socket.gethostname()
    writers = {f"{here}.{DEAD}": False, f"{here}.{os.getppid()}": True, f"elsewhere.{DEAD}": True}
    files = {w: checkpoint.with_name(f".{checkpoint.name}.{w}.partial") for w in writers}
    for file in (checkpoint, *files.values()):
        file.write_text("")
    store.add(KEY, IDENTITY, lambda folder: FULL)
    assert not checkpoint.exists()
    assert {writer: file.exists() for writer, file in files.items()} == writers


def test_interrupted_removal_counts_as_absent(store, monkeypatch):
    store.add(KEY, IDENTITY, lambda folder: Result(tensors={"x": torch.ones(1)}))
    monkeypatch.setattr("shutil.rmtree", lambda path: None)
    store.remove(KEY)
    assert KEY not in store and list(store) == []


def test_leftovers_are_those_of_killed_processes_of_this_host(store):
    left = partial(store, f"{DEAD}-01234567")
    for process, host in ((os.getppid(), None), (DEAD, "elsewhere")):
        partial(store, process, host)
    file = store.checkpoint(KEY).with_name(f".a.pt.{socket.gethostname()}.{DEAD}.partial")
    file.parent.mkdir()
    file.touch()
    assert set(store.leftovers()) == {left, file}


def test_record_has_the_number_of_threads(store):
    store.add(KEY, IDENTITY, lambda folder: Result())
    assert store.record(KEY)["threads"] == torch.get_num_threads()


def test_folder_that_cannot_be_written_is_named_with_what_to_do(tmp_path):
    (tmp_path / "data").touch()
    with pytest.raises(OSError) as raised:
        Store(tmp_path / "data").add(KEY, IDENTITY, lambda folder: Result())
    assert str(raised.value) == (
        f"results cannot be written into {tmp_path}/data: Not a directory: make it writable, or "
        "set `data` in conf/local/globals.yml"
    )


def test_folder_that_has_become_read_only_is_named_too(store, monkeypatch):
    store.add(KEY, IDENTITY, lambda folder: Result())

    def refuse(path, *_, **__):
        raise OSError(errno.EROFS, "Read-only file system", str(path))

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(OSError, match="written into .*: Read-only file system: make it writable"):
        store.add(f"{KEY}0", IDENTITY, lambda folder: Result())
