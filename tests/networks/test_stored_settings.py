import pytest
import torch

from posinfo.networks.stored_settings import (
    read_settings,
    settings_key,
    with_settings,
    without_settings,
)


def test_tensors_come_back_with_the_same_settings():
    stored = with_settings({"a": torch.ones(2, 3).t()}, {"lr": 0.1, "kinds": ["x"]})
    assert stored["a"].is_contiguous()
    got = without_settings(stored, {"kinds": ["x"], "lr": 0.1}, "these weights")
    assert set(got) == {"a"} and torch.equal(got["a"], torch.ones(3, 2))


def test_other_settings_are_refused():
    stored = with_settings({"a": torch.ones(2)}, {"lr": 0.1})
    with pytest.raises(ValueError, match="^these weights were made with other settings or inputs"):
        without_settings(stored, {"lr": 0.2}, "these weights")


def test_message_names_what_differs():
    stored = with_settings({}, {"lr": 0.1, "width": 3, "seed": 0})
    with pytest.raises(ValueError, match=r"asked for \(lr, width\): run the stage before"):
        without_settings(stored, {"lr": 0.2, "seed": 0}, "these weights")
    with pytest.raises(ValueError, match=r"asked for \(lr\)"):
        without_settings({"a": torch.ones(2)}, {"lr": 0.2}, "these weights")


def test_settings_can_be_read_in_any_letters():
    settings = {"training": {"lr": 0.1}, "name": "größe", "classes": None}
    assert read_settings(with_settings({}, settings)) == settings
    assert read_settings({"a": torch.ones(2)}) == {}


def test_keys_tell_settings_apart():
    assert settings_key({"a": 1, "b": 2}) == settings_key({"b": 2, "a": 1})
    assert settings_key({"a": 1}) != settings_key({"a": 2})
