import pytest
from pydantic import ValidationError

from posinfo.experiments.boundary.red_green import RedGreenCell, RedGreenImages, run
from posinfo.networks.models.stacked_convnets import ConvNetConfig
from posinfo.work import Work
from tests.networks.training.test_stacked import training


def red_green_cell(padding, **changes):
    network = ConvNetConfig(
        channels=(8, 8, 16, 16), strides=(1, 2, 2, 2), kernel_size=3, padding=padding
    )
    return RedGreenCell(
        network=network,
        training=training(**{"epochs": 6, "batch_size": 40, **changes}),
        images=RedGreenImages(train=400, validation=80, test=100),
        seeds=(0, 1),
    )


@pytest.fixture(scope="module")
def results():
    return {padding: run(red_green_cell(padding), {}, Work()) for padding in ("zero", "full")}


def test_a_border_teaches_the_height_and_full_convolution_cannot_know_it(results):
    zero, full = results["zero"].table, results["full"].table
    assert (zero.similar > 0.85).all() and (zero.dissimilar < 0.3).all()
    assert (zero.identical < 0.5).all()
    assert (full.similar == full.dissimilar).all() and (full.identical == 1).all()
    assert zero.seed.tolist() == [0, 1] and (zero.n == 100).all()


def test_losses_are_means_over_seeds(results):
    history = results["zero"].history
    assert set(history) == {"train_loss", "validation_loss"}
    assert all(len(values) == 6 for values in history.values())
    assert history["validation_loss"][-1] < history["validation_loss"][0]


def test_more_images_than_there_are_are_refused():
    with pytest.raises(ValidationError, match="there are 2960 different images; got 3000 in all"):
        RedGreenImages(train=2000, validation=500, test=500)
