import pytest
import torch

from posinfo.stimuli.synthetic import SYNTHETIC, synthetic_image


@pytest.mark.parametrize("name", SYNTHETIC)
def test_synthetic_image_is_reproducible_rgb(name):
    image = synthetic_image(name, (30, 40))
    assert image.shape == (1, 3, 30, 40)
    assert image.dtype == torch.uint8
    assert torch.equal(image, synthetic_image(name, (30, 40)))


def test_black_and_white_are_constant():
    assert synthetic_image("black", (4, 4)).unique().tolist() == [0]
    assert synthetic_image("white", (4, 4)).unique().tolist() == [255]


def test_noise_has_the_statistics_of_the_released_image():
    noise = synthetic_image("noise", (224, 224)).double()
    for channel in noise[0]:
        assert channel.mean().item() == pytest.approx(25, abs=0.4)
        assert channel.std().item() == pytest.approx(23.7, abs=0.4)
    flat = noise[0].flatten(1)
    correlation = torch.corrcoef(flat) - torch.eye(3, dtype=torch.float64)
    assert correlation.abs().max() < 0.02


def test_unknown_stimulus_is_refused():
    with pytest.raises(
        ValueError, match="^stimulus must be one of black, white, noise; got 'grey'$"
    ):
        synthetic_image("grey", (4, 4))
