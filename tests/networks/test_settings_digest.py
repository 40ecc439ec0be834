import pytest
import torch

from posinfo.networks.settings_digest import settings_key, with_digest, without_digest


def test_tensors_come_back_with_the_same_settings():
    stored = with_digest({"a": torch.ones(2, 3).t()}, {"lr": 0.1, "kinds": ["x"]})
    assert stored["a"].is_contiguous()
    got = without_digest(stored, {"kinds": ["x"], "lr": 0.1}, "these weights")
    assert set(got) == {"a"} and torch.equal(got["a"], torch.ones(3, 2))


def test_other_settings_are_refused():
    stored = with_digest({"a": torch.ones(2)}, {"lr": 0.1})
    with pytest.raises(
        ValueError, match="^these weights were trained with other settings or inputs"
    ):
        without_digest(stored, {"lr": 0.2}, "these weights")


def test_keys_tell_settings_apart():
    assert settings_key({"a": 1, "b": 2}) == settings_key({"b": 2, "a": 1})
    assert settings_key({"a": 1}) != settings_key({"a": 2})
