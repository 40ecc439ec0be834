import shutil
from collections import namedtuple
from pathlib import Path

import numpy as np
import pytest
import torch

from posinfo.work import Work
from posinfo.writing import UnwritableError

ROWS = np.arange(12, dtype=np.float16).reshape(4, 3)


def batches():
    yield ROWS[:3]
    yield ROWS[3:3]
    yield ROWS[3:]


def test_array_without_a_folder_stays_in_memory():
    array = Work().array("a", (4, 3), np.float16, batches())
    assert not isinstance(array, np.memmap)
    assert array.dtype == np.float16
    np.testing.assert_array_equal(array, ROWS)


def test_array_with_a_folder_is_memory_mapped_and_read_only(tmp_path):
    array = Work(folder=tmp_path).array("a", (4, 3), np.float16, batches())
    assert isinstance(array, np.memmap)
    assert array.dtype == np.float16
    np.testing.assert_array_equal(array, ROWS)
    np.testing.assert_array_equal(np.load(tmp_path / "a.npy"), ROWS)
    with pytest.raises(ValueError, match="read-only"):
        array[0] = 0


def test_array_on_disk_is_written_batch_by_batch(tmp_path):
    sizes = []

    def watched():
        for _ in range(3):
            yield np.zeros((1, 2**16))
            sizes.append((tmp_path / "a.npy").stat().st_size)

    Work(folder=tmp_path).array("a", (3, 2**16), np.float64, watched())
    assert sizes[0] < sizes[1] < sizes[2]


@pytest.mark.parametrize("on_disk", [False, True])
def test_batches_take_the_type_of_the_array(tmp_path, on_disk):
    work = Work(folder=tmp_path if on_disk else None)
    parts = [np.array([[1, 2], [3, 4]]).T, np.array([[5.5, 6]], np.float64)]
    array = work.array("a", (3, 2), np.float32, parts)
    assert array.dtype == np.float32
    np.testing.assert_array_equal(array, [[1, 3], [2, 4], [5.5, 6]])


@pytest.mark.parametrize("on_disk", [False, True])
@pytest.mark.parametrize("rows", [3, 5])
def test_wrong_number_of_rows_is_refused(tmp_path, on_disk, rows):
    work = Work(folder=tmp_path if on_disk else None)
    with pytest.raises(ValueError, match=f"^a should have {rows} rows; 4 were made$"):
        work.array("a", (rows, 3), np.float16, batches())


@pytest.mark.parametrize("on_disk", [False, True])
@pytest.mark.parametrize("shape", [(4, 2), (4, 6), (4, 3, 1)])
def test_rows_of_another_shape_are_refused(tmp_path, on_disk, shape):
    work = Work(folder=tmp_path if on_disk else None)
    with pytest.raises(ValueError) as raised:
        work.array("a", shape, np.float16, batches())
    assert str(raised.value) == f"rows of a should have shape {shape[1:]}; got (3,)"


@pytest.mark.parametrize("on_disk", [False, True])
def test_array_without_rows(tmp_path, on_disk):
    work = Work(folder=tmp_path if on_disk else None)
    array = work.array("a", (0, 3), np.float16, iter([]))
    assert (array.shape, array.dtype) == ((0, 3), np.float16)


Usage = namedtuple("Usage", "total used free")


@pytest.mark.parametrize(("total", "error"), [(9e9, UnwritableError), (2e9, ValueError)])
def test_full_disk_is_refused_before_any_work(tmp_path, monkeypatch, total, error):
    """One that is too small by itself is no full disk: other settings are needed."""
    asked = []

    def usage(folder):
        asked.append(folder)
        return Usage(total, total - 1.9e9, 1.9e9)

    def never():
        pytest.fail("a batch was made")
        yield

    monkeypatch.setattr(shutil, "disk_usage", usage)
    with pytest.raises(error) as raised:
        Work(folder=tmp_path).array("a", (1_000_000, 1001), np.float16, never())
    assert raised.type is error
    assert str(raised.value) == (
        f"2.0 GB are needed in {tmp_path}, where 1.9 GB are free: make room (`posinfo store` lists "
        "what lies there), use fewer images or a smaller feature_size, or set `data` in "
        "conf/local/globals.yml to a larger disk"
    )
    assert asked == [tmp_path] and list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux's full device")
def test_disk_that_is_full_with_the_last_bytes_is_one_error(tmp_path):
    (tmp_path / "a.npy").symlink_to("/dev/full")
    with pytest.raises(UnwritableError, match=r"a\.npy cannot be written, is the disk full\?"):
        Work(folder=tmp_path).array("a", (4, 3), np.float16, batches())


def test_disk_with_just_enough_room_is_taken(tmp_path, monkeypatch):
    usage = Usage(100, 100, 4 * 3 * 2 * 1.05)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage)
    np.testing.assert_array_equal(
        Work(folder=tmp_path).array("a", (4, 3), np.float16, batches()), ROWS
    )


def test_array_in_memory_needs_no_disk(monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: pytest.fail("asked"))
    assert len(Work().array("a", (4, 3), np.float16, batches())) == 4


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_forward_passes_inside_autocast_have_the_dtype(dtype):
    layer, values = torch.nn.Linear(2, 2), torch.ones(1, 2)
    with Work(dtype=dtype).autocast():
        assert layer(values).dtype == dtype
    assert layer(values).dtype == torch.float32


def test_who_does_not_listen_is_told_nothing():
    work = Work()
    work.on_total(3)
    work.on_progress(1)
    work.on_epoch(1, 0.5, 0.25)
    assert (work.device, work.dtype, work.folder) == (torch.device("cpu"), torch.float32, None)
