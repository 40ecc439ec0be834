import re

import h5py
import numpy as np
import pytest
import torch
from scipy.signal import correlate
from torchvision.models import vgg16

from posinfo.networks.models.embedded_weights import find_embedded, read_embedded
from posinfo.networks.models.hed import PREPROCESSING_MEAN
from posinfo.networks.models.normalisation import normalise


@pytest.fixture(scope="module")
def state():
    return read_embedded("hed-bsds500")


def original_layer(file, layer, image):
    """One convolution as the HDF5 file states it: channels last, correlated channel by channel."""
    kernel, bias = (np.asarray(file[f"{layer}/vars/{part}"], dtype=np.float64) for part in (0, 1))
    return np.stack(
        [
            sum(
                correlate(image[..., i], kernel[..., i, o], mode="same")
                for i in range(image.shape[-1])
            )
            + bias[o]
            for o in range(4)
        ],
        axis=-1,
    )


def test_mean_is_that_of_the_wheels_own_preprocessing():
    source = (find_embedded("hed-bsds500").parents[1] / "utils.py").read_text()
    bgr = re.search(r"def preprocess_image\(image_path, mean=\[(.+)\]\)", source)[1]
    assert tuple(map(float, bgr.split(", "))) == PREPROCESSING_MEAN[::-1]


def test_first_layer_equals_the_original_on_its_own_input(state, generator):
    rgb = torch.randint(0, 256, (1, 3, 12, 10), generator=generator, dtype=torch.uint8)
    rgb_minus_mean = rgb[0].double().permute(1, 2, 0).numpy() - np.array(PREPROCESSING_MEAN)
    with h5py.File(find_embedded("hed-bsds500")) as file:
        expected = original_layer(file, "block1/layers/conv2d", rgb_minus_mean[..., ::-1])
    ours = torch.nn.functional.conv2d(
        normalise(rgb, "imagenet"),
        state["features.0.weight"],
        state["features.0.bias"],
        padding=1,
    )
    inside = np.s_[1:-1, 1:-1]  # the rim differs: zero is another colour there
    actual = ours[0, :4].permute(1, 2, 0).numpy()
    np.testing.assert_allclose(actual[inside], expected[inside], rtol=1e-4, atol=1e-3)
    assert np.abs(actual - expected).max() < 0.02 * np.abs(expected).max()


def test_deeper_layers_are_transposed_only(state):
    with h5py.File(find_embedded("hed-bsds500")) as file:
        kernel = np.asarray(file["block4/layers/conv2d_1/vars/0"])
    for o, i, y, x in [(0, 1, 2, 0), (511, 3, 0, 2), (100, 200, 1, 1)]:
        assert state["features.19.weight"][o, i, y, x] == kernel[y, x, i, o]


def test_state_fills_every_convolution_of_vgg16(state):
    with torch.device("meta"):
        expected = vgg16().features.state_dict()
    assert {name.removeprefix("features.") for name in state} == set(expected)
    for name, tensor in expected.items():
        assert state[f"features.{name}"].shape == tensor.shape
