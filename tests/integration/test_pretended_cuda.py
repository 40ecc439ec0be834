"""The device that is not there refuses what a real one refuses, and nothing else."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn.functional import conv2d, cross_entropy, interpolate

from posinfo.work import Work
from tests.integration.pretended_cuda import CUDA, MisplacedError, PretendedCuda

ROWS = torch.tensor([0, 2])

# of a matrix on the CPU and one on the device; True: refused
EXPRESSIONS: dict[str, tuple[bool, Callable[[Tensor, Tensor], object]]] = {
    "sum": (True, lambda here, there: here + there),
    "sum_with_a_number": (False, lambda here, there: there + 1.5),
    "sum_with_a_number_of_the_cpu": (False, lambda here, there: there + torch.tensor(1.5)),
    "number_of_the_device": (True, lambda here, there: here + there[0, 0]),
    "product": (True, lambda here, there: there @ here),
    "in_place": (True, lambda here, there: here.add_(there)),
    "copied": (False, lambda here, there: here.copy_(there)),
    "moved": (False, lambda here, there: here.to("cuda") + there),
    "moved_like_another": (False, lambda here, there: here.to(there) + there),
    "moved_back": (False, lambda here, there: here + there.cpu()),
    "moved_back_by_name": (False, lambda here, there: here + there.to("cpu")),
    "only_another_dtype": (True, lambda here, there: here.double() + there.double()),
    "a_view": (True, lambda here, there: here.T[1:] + there.T[1:]),
    "made_like_another": (False, lambda here, there: torch.ones_like(there) + there),
    "made_new": (False, lambda here, there: there.new_zeros(3) + there),
    "made_without_device": (True, lambda here, there: torch.zeros(3) + there),
    "made_with_device": (False, lambda here, there: torch.zeros(3, device=there.device) + there),
    "as_tensor": (False, lambda here, there: torch.as_tensor(here, device="cuda") + there),
    "rows_by_the_cpu": (False, lambda here, there: there[ROWS] + there[:2]),
    "rows_by_the_device": (False, lambda here, there: there[ROWS.to("cuda")] + there[:2]),
    "written_rows": (False, lambda here, there: there.__setitem__(ROWS, there[:2] + 1)),
    "written_rows_of_the_cpu": (True, lambda here, there: there.__setitem__(ROWS, here[:2])),
    "written_slice_of_the_cpu": (False, lambda here, there: there.__setitem__(slice(2), here[:2])),
    "concatenated": (True, lambda here, there: torch.cat([there, here])),
    "where": (True, lambda here, there: torch.where(there > 0, there, here)),
    "where_by_the_cpu": (True, lambda here, there: torch.where(here > 0, there, there)),
    "where_a_number": (False, lambda here, there: torch.where(there > 0, there, torch.tensor(0.0))),
    "gathered": (True, lambda here, there: there.gather(0, here.long())),
    "added_at": (True, lambda here, there: there.index_add_(0, ROWS, there[:2])),
    "filled_at": (True, lambda here, there: there.index_fill_(0, ROWS, 0)),
    "einsum": (True, lambda here, there: torch.einsum("ij,jk->ik", here, there)),
    "convolved": (True, lambda here, there: conv2d(there[None, None], here[None, None])),
    "enlarged": (False, lambda here, there: interpolate(there[None, None], (6, 6)) + 1),
    "loss": (True, lambda here, there: cross_entropy(there, here[0].long())),
    "buffers": (True, lambda here, there: nn.BatchNorm2d(3).eval()(there[None, :, None])),
    "a_module": (False, lambda here, there: nn.Linear(3, 2, device="cuda")(there)),
    "a_module_of_the_cpu": (True, lambda here, there: nn.Linear(3, 2)(there)),
}  # fmt: skip


def refused(expression: Callable[[Tensor, Tensor], object]) -> bool:
    here, there = torch.ones(3, 3), torch.ones(3, 3, device="cuda")
    try:
        expression(here, there)
    except (RuntimeError, TypeError):
        return True
    return False


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_it_refuses_what_fake_tensors_refuse(name):
    expected, expression = EXPRESSIONS[name]
    with PretendedCuda():
        assert refused(expression) == expected
    with FakeTensorMode(allow_non_fake_inputs=True):
        assert refused(expression) == expected


def trained(work: Work, forgotten: str = "") -> Tensor:
    """The weights of a tiny network after a step of a training that may forget a move."""
    random = torch.Generator().manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(16, 2))
    for weights in network.parameters():
        weights.data.copy_(torch.rand(weights.shape, generator=random))
    parts = {
        "network": network,
        "images": torch.rand(2, 3, 4, 4, generator=random),
        "labels": torch.tensor([0, 1]),
    }
    parts = {n: part if n == forgotten else part.to(work.device) for n, part in parts.items()}
    optimiser = torch.optim.AdamW(parts["network"].parameters(), lr=0.1)
    with work.autocast():
        loss = cross_entropy(parts["network"](parts["images"]).float(), parts["labels"])
    loss.backward()
    optimiser.step()
    return parts["network"][0].weight.detach()


@pytest.mark.parametrize("forgotten", ["network", "images", "labels"])
def test_a_step_that_forgets_to_move_something_is_found(forgotten):
    with (
        PretendedCuda(),
        pytest.raises(MisplacedError, match="some tensors are on cuda, but on the CPU those of"),
    ):
        trained(Work(CUDA), forgotten)


def test_a_step_that_forgets_nothing_is_the_one_of_the_cpu():
    expected, device = trained(Work()), PretendedCuda()
    with device:
        found = trained(Work(CUDA))
        assert found.device == CUDA and found.is_cuda and not found.is_cpu
    assert found.equal(expected) and device.costly == {"cuda": 3}


def test_a_step_that_never_goes_to_the_device_is_counted():
    with PretendedCuda() as device:
        trained(Work())
    assert device.costly == {"cpu": 3}


def test_bfloat16_is_that_of_the_forward_pass():
    with PretendedCuda(), Work(CUDA, torch.bfloat16).autocast():
        layer = nn.Linear(2, 2).to(CUDA)
        assert layer(torch.ones(1, 2, device=CUDA)).dtype == torch.bfloat16
    assert isinstance(torch.autocast, type)


@pytest.mark.parametrize("read", [lambda there: there.numpy(), np.asarray])
def test_numpy_cannot_read_it(read):
    with PretendedCuda(), pytest.raises(MisplacedError, match=r"on cuda: .cpu\(\) comes first$"):
        read(torch.ones(2, device="cuda"))


@pytest.mark.parametrize(
    "draw",
    [
        lambda generator: torch.rand(2, generator=generator, device=CUDA),
        lambda generator: torch.empty(2, device=CUDA).normal_(generator=generator),
    ],
)
def test_a_generator_of_the_cpu_cannot_draw_there(draw, generator):
    with PretendedCuda(), pytest.raises(MisplacedError, match="with a generator of the CPU$"):
        draw(generator)
