from threading import Thread

import pytest
import torch
from torch import nn

from posinfo.networks.surgery.running_layer import RunningLayer


class Asking(nn.Module):
    """Notes which layer is running when it is called."""

    def __init__(self, seen):
        super().__init__()
        self.seen, self.running = seen, None

    def forward(self, images):
        self.seen.append(self.running.name)
        return images


@pytest.fixture
def asking():
    seen: list[str] = []
    return Asking(seen), seen


def test_innermost_layer_is_known_by_its_name_and_forgotten_behind_it(asking):
    layer, seen = asking
    network = nn.Sequential(nn.ReLU(), nn.Sequential(layer))
    with RunningLayer(network) as running:
        layer.running = running
        network(torch.zeros(1))
        assert running.name == ""
    network(torch.zeros(1))  # not followed any more
    assert seen == ["1.0", ""]


def test_layer_that_fails_is_left(asking):
    class Failing(nn.Module):
        def forward(self, images):
            raise RuntimeError("as it must")

    network = nn.Sequential(Failing())
    with RunningLayer(network) as running:
        with pytest.raises(RuntimeError, match="as it must"):
            network(torch.zeros(1))
        assert running.name == ""


def test_other_threads_are_not_followed(asking):
    layer, seen = asking
    network = nn.Sequential(layer)
    with RunningLayer(network) as running:
        layer.running = running
        thread = Thread(target=network, args=(torch.zeros(1),))
        thread.start()
        thread.join()
    assert seen == [""]
