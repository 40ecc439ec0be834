import os
import shutil
from collections import namedtuple

import numpy as np
import pytest

ROWS = np.arange(12, dtype=np.float16).reshape(4, 3)


def batches():
    yield ROWS[:3]
    yield ROWS[3:]


def test_array_is_made_once(cache):
    calls = []

    def make():
        calls.append(1)
        return batches()

    for _ in range(2):
        np.testing.assert_array_equal(cache.get("a", (4, 3), np.float16, make), ROWS)
    assert len(calls) == 1


def test_array_is_memory_mapped_and_read_only(cache):
    array = cache.get("a", (4, 3), np.float16, batches)
    assert isinstance(array, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        array[0] = 0


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_interrupted_array_leaves_nothing(cache, error):
    def interrupted():
        yield ROWS[:3]
        raise error

    with pytest.raises(error):
        cache.get("a", (4, 3), np.float16, interrupted)
    assert list(cache.folder.iterdir()) == []
    np.testing.assert_array_equal(cache.get("a", (4, 3), np.float16, batches), ROWS)


def test_partial_file_of_a_killed_process_is_not_trusted(cache):
    cache.folder.mkdir()
    left = cache.folder / f".a.{2**22 + 1}.partial"  # beyond the largest process number
    left.write_bytes(b"half")
    np.testing.assert_array_equal(cache.get("a", (4, 3), np.float16, batches), ROWS)
    assert not left.exists()


def test_partial_file_of_a_living_process_is_left_alone(cache):
    cache.folder.mkdir()
    other = cache.folder / f".a.{os.getppid()}.partial"
    other.write_bytes(b"half")
    cache.get("a", (4, 3), np.float16, batches)
    assert other.exists()


def test_missing_array_says_what_to_run(cache):
    with pytest.raises(FileNotFoundError, match=r"a\.npy is missing: .* run the stage `modeling`"):
        cache.open("a")


def test_missing_rows_are_refused(cache):
    with pytest.raises(ValueError, match="^a should have 5 rows; 4 were made$"):
        cache.get("a", (5, 3), np.float16, batches)
    assert not cache.path("a").exists()


def test_full_disk_is_refused_before_any_work(cache, monkeypatch):
    usage = namedtuple("usage", "free")(10)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage)
    with pytest.raises(OSError, match=r"^0\.0 GB are needed in .*, where 0\.0 GB are free: make"):
        cache.get("a", (4, 3), np.float16, lambda: pytest.fail("work was done"))
