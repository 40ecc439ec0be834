import pytest

from posinfo.experiments.boundary.patch_location import PatchCell, run
from posinfo.networks.models.stacked_convnets import CONVOLUTION_PADDINGS, ConvNetConfig
from posinfo.work import Work
from tests.networks.training.test_stacked import training


def patch_cell(padding):
    network = ConvNetConfig(channels=(8,), strides=(1,), kernel_size=5, padding=padding)
    protocol = training(
        epochs=60, batch_size=2, optimiser="sgd", lr=0.1, momentum=0.9, weight_decay=0, keep="last"
    )
    return PatchCell(network=network, training=protocol, seeds=(0, 1, 2))


@pytest.mark.parametrize("padding", CONVOLUTION_PADDINGS)
def test_no_network_is_better_than_chance_where_both_images_are_the_same_to_it(padding):
    rows = run(patch_cell(padding), {}, Work()).table
    assert rows.seed.tolist() == [0, 1, 2] and (rows.n == 2).all() and (rows.floor == 0.5).all()
    assert rows.identical.isin([0, 1]).all()
    assert (rows.accuracy[rows.identical == 1] == 0.5).all()
    if padding in ("circular", "full"):
        assert (rows.identical == 1).all()
    if padding == "zero":
        assert (rows.accuracy == 1).all()
