import pytest
from torch import nn

from posinfo.networks.surgery.layer_names import require_layer

NETWORK = nn.Sequential(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()), nn.Flatten())


def test_layers_that_are_there_are_accepted():
    for layer in ("0", "0.1", "1"):
        require_layer(NETWORK, layer, "the network")


@pytest.mark.parametrize(
    ("layer", "listed"),
    [("0.2", "0.1, 0.0"), ("features", "0, 0.0, 0.1, 1"), ("", "0, 0.0, 0.1, 1")],
)
def test_others_are_refused_with_what_is_near(layer, listed):
    with pytest.raises(ValueError) as raised:
        require_layer(NETWORK, layer, "arch 'mine'")
    assert str(raised.value) == (
        f"arch 'mine' has no layer {layer!r}; near or among its layers are {listed}"
    )
