import pytest
import torch

from posinfo.networks.devices import pick_device, pick_precision


def test_cpu_is_always_there():
    assert pick_device("cpu") == torch.device("cpu")


def test_auto_takes_what_there_is():
    assert pick_device("auto").type in ("cuda", "mps", "cpu")
    assert torch.cuda.is_available() == (pick_device("auto").type == "cuda")


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
    assert pick_precision("auto", cpu) in (torch.float32, torch.bfloat16)
    with pytest.raises(
        ValueError, match="^precision must be one of auto, bfloat16, float32; got 'half'$"
    ):
        pick_precision("half", cpu)
