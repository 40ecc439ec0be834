import pytest
import torch
from pydantic import ValidationError

from posinfo.pipelines.shared_parameters import Device, Machine, Parallel, Precision

CPU = torch.device("cpu")


def test_device_and_precision_by_name():
    assert Device("cpu").pick() == CPU
    assert Precision("float32").pick(CPU) == torch.float32
    assert Precision("bfloat16").pick(CPU) == torch.bfloat16
    assert Device("auto").pick().type in ("cpu", "cuda", "mps")


@pytest.mark.parametrize(
    ("kind", "name", "message"),
    [
        (Device, "gpu", "device must be one of auto, cpu, cuda, mps; got 'gpu'"),
        (Device, "cuda:99", "device 'cuda:99' is not on this machine; `auto` takes what there is"),
        (Precision, "float16", "precision must be one of auto, bfloat16, float32; got 'float16'"),
    ],
)
def test_unknown_names_are_refused(kind, name, message):
    with pytest.raises(ValidationError) as raised:
        kind.model_validate(name)
    assert message in str(raised.value)


@pytest.mark.parametrize(
    "values",
    [
        {"n_jobs": 0, "threads_per_job": None},
        {"n_jobs": 1, "threads_per_job": 0},
        {"n_jobs": 1},
        {"n_jobs": 1, "threads_per_job": 1, "backend": "loky"},
    ],
)
def test_impossible_processes_are_refused(values):
    with pytest.raises(ValidationError):
        Parallel.model_validate(values)


@pytest.fixture
def threads():
    before = torch.get_num_threads()
    torch.set_num_threads(5)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize(
    ("n_jobs", "threads_per_job", "expected"),
    [(1, None, 5), (2, None, 2), (9, None, 1), (1, 3, 3), (4, 7, 7)],
)
def test_threads_are_shared_by_the_processes(threads, n_jobs, threads_per_job, expected):
    parallel = Parallel(n_jobs=n_jobs, threads_per_job=threads_per_job)
    assert parallel.threads == expected


def test_tracker_gets_device_and_precision():
    parallel = Parallel(n_jobs=2, threads_per_job=1)
    machine = Machine(torch.device("cuda:1"), torch.bfloat16, parallel)
    assert machine.parameters() == {"device": "cuda:1", "dtype": "bfloat16"}
