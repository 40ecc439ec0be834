import numpy as np
import pytest

from posinfo.networks.readouts.feature_array import FeatureArray, block_ranges

CHANNELS = {"f1": 2, "f2": 3, "f3": 1}


@pytest.fixture
def features():
    return np.random.default_rng(0).random((5, 4, 4, 6)).astype(np.float16)


@pytest.mark.parametrize(
    ("blocks", "columns"),
    [((), range(6)), (("f1",), [0, 1]), (("f2", "f3"), [2, 3, 4, 5]), (("f3", "f1"), [5, 0, 1])],
)
def test_blocks_are_their_channels(features, blocks, columns):
    array = FeatureArray(features, CHANNELS, blocks)
    assert len(array) == 5
    assert array.shape == (5, 4, 4, len(columns))
    for images in (np.array([3, 1]), slice(1, 3)):
        np.testing.assert_array_equal(array[images], features[images][..., list(columns)])


@pytest.mark.parametrize("blocks", [(), ("f1",), ("f3", "f1")])
def test_images_are_chosen_as_if_there_were_no_others(features, blocks):
    chosen = np.array([4, 0, 2])
    array = FeatureArray(features, CHANNELS, blocks, chosen)
    alone = FeatureArray(features[chosen], CHANNELS, blocks)
    assert len(array) == 3 and array.shape == alone.shape
    for images in (np.array([2, 0]), slice(1, 3), slice(0, 9)):
        np.testing.assert_array_equal(array[images], alone[images])


def test_what_is_read_is_a_copy(features):
    before = features.copy()
    FeatureArray(features)[slice(0, 2)][:] = 0
    FeatureArray(features, images=np.arange(5))[slice(0, 2)][:] = 0
    np.testing.assert_array_equal(features, before)


def test_unknown_block_is_refused():
    with pytest.raises(ValueError, match=r"^blocks must be among f1, f2, f3; got 'f4'$"):
        block_ranges(CHANNELS, ["f4"])
