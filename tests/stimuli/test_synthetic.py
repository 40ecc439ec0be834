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


@pytest.mark.parametrize(("name", "between_channels"), [("noise", 0.87), ("noise_independent", 0)])
def test_noise_has_the_statistics_of_the_released_image(name, between_channels):
    noise = synthetic_image(name, (224, 224)).double()
    for channel in noise[0]:
        assert channel.mean().item() == pytest.approx(25, abs=0.4)
        assert channel.std().item() == pytest.approx(23.7, abs=0.4)
    correlation = torch.corrcoef(noise[0].flatten(1))
    for i, j in ((0, 1), (0, 2), (1, 2)):
        assert correlation[i, j].item() == pytest.approx(between_channels, abs=0.01)
    for shifted in (noise.roll(1, 2), noise.roll(1, 3)):  # from pixel to pixel there is none
        pair = torch.stack([noise.flatten(), shifted.flatten()])
        assert abs(torch.corrcoef(pair)[0, 1].item()) < 0.02


def test_unknown_stimulus_is_refused():
    with pytest.raises(
        ValueError,
        match="^stimulus must be one of black, white, noise, noise_independent; got 'grey'$",
    ):
        synthetic_image("grey", (4, 4))
