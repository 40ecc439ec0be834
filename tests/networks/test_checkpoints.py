import re

import pytest
import torch
from torch import nn

from posinfo.networks.checkpoints import load_checkpoint, save_checkpoint


def test_parts_and_values_come_back(tmp_path):
    saved, other = nn.Linear(2, 1), nn.Linear(2, 1)
    values = {"losses": [0.5, 0.25], "best": {"weight": torch.ones(2)}, "name": "x"}
    save_checkpoint(tmp_path / "deep" / "a.pt", {"model": saved}, values)
    got = load_checkpoint(tmp_path / "deep" / "a.pt", {"model": other})
    assert torch.equal(saved.weight, other.weight)
    assert got["losses"] == [0.5, 0.25] and torch.equal(got["best"]["weight"], torch.ones(2))


def test_no_file_changes_nothing(tmp_path):
    model = nn.Linear(2, 1)
    before = model.weight.clone()
    assert load_checkpoint(tmp_path / "a.pt", {"model": model}) == {}
    assert torch.equal(model.weight, before)


def test_interrupted_write_leaves_the_old_file(tmp_path, monkeypatch):
    path, model = tmp_path / "a.pt", nn.Linear(2, 1)
    save_checkpoint(path, {"model": model}, {"epoch": 1})

    def interrupted(state, file):
        file.write(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(torch, "save", interrupted)
    with pytest.raises(KeyboardInterrupt):
        save_checkpoint(path, {"model": model}, {"epoch": 2})
    assert load_checkpoint(path, {"model": model}) == {"epoch": 1}


def test_damaged_file_says_what_to_do(tmp_path):
    path = tmp_path / "a.pt"
    path.write_bytes(b"no checkpoint")
    with pytest.raises(ValueError, match=re.escape(f"the checkpoint {path} is damaged or")):
        load_checkpoint(path, {"model": nn.Linear(2, 1)})


def test_checkpoint_of_another_network_is_refused(tmp_path):
    save_checkpoint(tmp_path / "a.pt", {"model": nn.Linear(3, 1)}, {})
    with pytest.raises(ValueError, match="size mismatch for weight.*: remove it to start anew$"):
        load_checkpoint(tmp_path / "a.pt", {"model": nn.Linear(2, 1)})
