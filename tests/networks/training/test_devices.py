import pytest
import torch
from pydantic import ValidationError

from posinfo.networks.training.devices import (
    Device,
    Parallel,
    Precision,
    pick_device,
    pick_precision,
    true_float32,
)

CUDNN, MATMUL = torch.backends.cudnn, torch.backends.cuda.matmul


@pytest.fixture
def as_before():
    """What other tests find is PyTorch's own choice."""
    yield
    MATMUL.allow_tf32, CUDNN.allow_tf32 = False, True


@pytest.mark.parametrize("chosen", [True, False, "ieee", "tf32"])
def test_float32_is_float32_and_the_callers_choice_holds_afterwards(chosen, as_before):
    MATMUL.allow_tf32, CUDNN.allow_tf32 = False, True
    if isinstance(chosen, bool):
        CUDNN.allow_tf32 = MATMUL.allow_tf32 = chosen
    else:  # PyTorch's newer names of the same, which may not be mixed with the others
        CUDNN.conv.fp32_precision = MATMUL.fp32_precision = chosen
    parts = CUDNN.conv, CUDNN.rnn, MATMUL
    before = [part.fp32_precision for part in parts]
    with pytest.raises(ZeroDivisionError), true_float32():
        assert not CUDNN.allow_tf32 and not MATMUL.allow_tf32
        assert "tf32" not in [part.fp32_precision for part in parts]
        raise ZeroDivisionError
    assert [part.fp32_precision for part in parts] == before


def test_cpu_is_always_there():
    assert pick_device("cpu") == torch.device("cpu")


@pytest.mark.parametrize(
    ("cuda", "mps", "kind"),
    [(True, True, "cuda"), (True, False, "cuda"), (False, True, "mps"), (False, False, "cpu")],
)
def test_auto_takes_what_there_is(monkeypatch, cuda, mps, kind):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    assert pick_device("auto") == Device("auto").pick() == torch.device(kind)


@pytest.mark.parametrize("name", ["gpu", "cuda:x", "cpux"])
def test_unknown_device_is_refused(name):
    with pytest.raises(
        ValueError, match=f"^device must be one of auto, cpu, cuda, mps; got '{name}'"
    ):
        pick_device(name)


def test_absent_device_is_refused():
    with pytest.raises(ValueError) as raised:
        pick_device("cuda:99")
    assert (
        str(raised.value) == "device 'cuda:99' is not on this machine; `auto` takes what there is"
    )


def test_precisions():
    cpu = torch.device("cpu")
    assert pick_precision("float32", cpu) == torch.float32
    assert pick_precision("bfloat16", cpu) == torch.bfloat16
    with pytest.raises(
        ValueError, match="^precision must be one of auto, bfloat16, float32; got 'half'$"
    ):
        pick_precision("half", cpu)


@pytest.mark.parametrize(("native", "dtype"), [(True, torch.bfloat16), (False, torch.float32)])
def test_auto_is_bfloat16_where_that_is_fast(monkeypatch, native, dtype):
    def supported(including_emulation=True):
        return native or including_emulation

    monkeypatch.setattr(torch.cuda, "is_bf16_supported", supported)
    assert pick_precision("auto", torch.device("cuda")) == dtype


def test_auto_is_float32_without_onednn_and_on_mps(monkeypatch):
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    for kind in ("cpu", "mps"):
        assert pick_precision("auto", torch.device(kind)) == torch.float32


CPU = torch.device("cpu")


def test_device_and_precision_by_name():
    assert Device("cpu").pick() == CPU
    assert Precision("float32").pick(CPU) == torch.float32
    assert Precision("bfloat16").pick(CPU) == torch.bfloat16


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
    ("values", "message"),
    [
        (
            {"n_jobs": 2, "backend": "dask"},
            "parallel.backend must be one of sequential, loky, ray; got 'dask'",
        ),
        (
            {"n_jobs": 2, "backend": "sequential"},
            "parallel.backend sequential computes in one process; got n_jobs 2",
        ),
        (
            {"n_jobs": 1, "backend": "ray"},
            "parallel.backend ray needs n_jobs of 2 or more: this process computes a single job",
        ),
        (
            {"n_jobs": 1, "gpus_per_job": 1},
            "parallel.gpus_per_job needs n_jobs of 2 or more; `device` names a GPU",
        ),
        (
            {"n_jobs": 2, "gpus_per_job": 0.5},
            "parallel.backend loky gives each process whole GPUs; got gpus_per_job 0.5. Parts of "
            "one are for the backend ray",
        ),
        ({"n_jobs": 2, "gpus_per_job": 0}, "Input should be greater than 0"),
        ({"n_jobs": 2, "gpus_per_job": float("inf")}, "Input should be a finite number"),
    ],
)
def test_processes_that_cannot_be_are_refused(values, message):
    with pytest.raises(ValidationError) as raised:
        Parallel.model_validate({"threads_per_job": None, **values})
    (problem,) = raised.value.errors()
    assert problem["msg"].removeprefix("Value error, ") == message


@pytest.mark.parametrize(
    ("values", "here"),
    [
        ({"n_jobs": 1}, True),
        ({"n_jobs": 1, "backend": "sequential"}, True),
        ({"n_jobs": 2}, False),
        ({"n_jobs": 2, "gpus_per_job": 2}, False),
        ({"n_jobs": 2, "backend": "ray", "gpus_per_job": 0.5}, False),
    ],
)
def test_one_process_is_this_one(values, here):
    assert Parallel.model_validate({"threads_per_job": 1, **values}).in_this_process is here
