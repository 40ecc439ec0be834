import pytest
import torch

from posinfo.networks.stored_settings import (
    flatten,
    read_settings,
    settings_key,
    with_settings,
    without_settings,
)


def test_tensors_come_back_with_the_same_settings():
    stored = with_settings({"a": torch.ones(2, 3).t()}, {"lr": 0.1, "kinds": ["x"]})
    assert stored["a"].is_contiguous()
    got = without_settings(stored, {"kinds": ["x"], "lr": 0.1}, "these weights", "modeling")
    assert set(got) == {"a"} and torch.equal(got["a"], torch.ones(3, 2))


def test_other_settings_are_refused():
    stored = with_settings({"a": torch.ones(2)}, {"lr": 0.1})
    with pytest.raises(ValueError, match="^these weights were made with other settings or inputs"):
        without_settings(stored, {"lr": 0.2}, "these weights", "modeling")


def test_message_names_what_differs():
    stored = with_settings({}, {"lr": 0.1, "width": 3, "seed": 0})
    with pytest.raises(ValueError, match=r"asked for \(lr, width\): run the stage `modeling`, or"):
        without_settings(stored, {"lr": 0.2, "seed": 0}, "these weights", "modeling")
    with pytest.raises(ValueError, match=r"asked for \(lr\)"):
        without_settings({"a": torch.ones(2)}, {"lr": 0.2}, "these weights", "modeling")


def test_message_names_nested_settings():
    stored = with_settings({}, {"training": {"lr": 0.1, "epochs": 2}})
    with pytest.raises(ValueError, match=r"asked for \(training.lr\): run"):
        without_settings(stored, {"training": {"lr": 0.2, "epochs": 2}}, "they", "modeling")


def test_settings_can_be_read_in_any_letters():
    settings = {"training": {"lr": 0.1}, "name": "größe", "classes": None}
    assert read_settings(with_settings({}, settings)) == settings
    assert read_settings({"a": torch.ones(2)}) == {}


def test_keys_tell_settings_apart():
    assert settings_key({"a": 1, "b": 2}) == settings_key({"b": 2, "a": 1})
    assert settings_key({"a": 1}) != settings_key({"a": 2})


def test_flatten_joins_names_with_dots():
    assert flatten({"a": {"b": {"c": 1}}, "d": (1, 2)}) == {"a.b.c": 1, "d": (1, 2)}
