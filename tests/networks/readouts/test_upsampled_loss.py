import pytest
import torch
from torch.nn.functional import interpolate, mse_loss

from posinfo.networks.readouts.upsampled_loss import UpsampledMSE, upsample


@pytest.mark.parametrize(
    ("grid", "size"), [((26, 26), (224, 224)), ((5, 7), (20, 33)), ((4, 4), (4, 4))]
)
def test_loss_equals_the_direct_one_with_its_gradient(generator, grid, size):
    targets = torch.rand(3, *size, generator=generator)
    maps = torch.rand(2, 3, *grid, generator=generator, requires_grad=True)
    loss = UpsampledMSE(targets, grid)(maps)
    full = interpolate(maps, size, mode="bilinear")
    direct = torch.stack([mse_loss(full[:, k], targets[k].expand(2, *size)) for k in range(3)])
    torch.testing.assert_close(loss, direct, rtol=1e-5, atol=1e-6)
    ours, theirs = (
        torch.autograd.grad(value.sum(), maps, retain_graph=True)[0] for value in (loss, direct)
    )
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-8)


def test_upsample_keeps_leading_axes(generator):
    maps = torch.rand(2, 3, 4, 5, generator=generator)
    expected = interpolate(maps, (8, 9), mode="bilinear")
    assert torch.equal(upsample(maps, (8, 9)), expected)
    assert torch.equal(upsample(maps[0, 0], (8, 9)), expected[0, 0])
