import os
import re
import socket
from pathlib import Path

import pytest
import torch
from torch import nn

from posinfo.networks.training import checkpoints
from posinfo.networks.training.checkpoints import read_checkpoint, restore, save_checkpoint


def test_parts_and_values_come_back(tmp_path):
    saved, other = nn.Linear(2, 1), nn.Linear(2, 1)
    values = {"losses": [0.5, 0.25], "best": {"weight": torch.ones(2)}, "name": "x"}
    save_checkpoint(tmp_path / "deep" / "a.pt", {"model": saved}, values)
    got = read_checkpoint(tmp_path / "deep" / "a.pt")
    restore({"model": other}, got, tmp_path)
    assert torch.equal(saved.weight, other.weight)
    assert got["losses"] == [0.5, 0.25] and torch.equal(got["best"]["weight"], torch.ones(2))


def test_no_file_holds_nothing(tmp_path):
    assert read_checkpoint(tmp_path / "a.pt") == {}


def test_interrupted_write_leaves_the_old_file(tmp_path, monkeypatch):
    path, model = tmp_path / "a.pt", nn.Linear(2, 1)
    save_checkpoint(path, {"model": model}, {"epoch": 1})

    def interrupted(state, file):
        file.write(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(torch, "save", interrupted)
    with pytest.raises(KeyboardInterrupt):
        save_checkpoint(path, {"model": model}, {"epoch": 2})
    assert read_checkpoint(path)["epoch"] == 1
    assert [file.name for file in tmp_path.iterdir()] == ["a.pt"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux's full device")
def test_full_disk_is_named_and_the_old_file_is_left(tmp_path):
    path, model = tmp_path / "a.pt", nn.Linear(500, 500)
    save_checkpoint(path, {"model": model}, {"epoch": 1})
    partial = tmp_path / f".a.pt.{socket.gethostname()}.{os.getpid()}.partial"
    partial.symlink_to("/dev/full")
    with pytest.raises(OSError, match="disk full|No space left on device"):
        save_checkpoint(path, {"model": model}, {"epoch": 2})
    assert read_checkpoint(path)["epoch"] == 1


def test_damaged_file_says_what_to_do(tmp_path):
    path = tmp_path / "a.pt"
    path.write_bytes(b"no checkpoint")
    with pytest.raises(ValueError, match=re.escape(f"the checkpoint {path} is damaged: rem")):
        read_checkpoint(path)


class Malicious:
    """Makes a file where it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


def test_checkpoint_runs_no_code(tmp_path):
    torch.save({"model": Malicious(tmp_path / "made")}, tmp_path / "a.pt")
    with pytest.raises(ValueError, match="is damaged: remove it to start anew$"):
        read_checkpoint(tmp_path / "a.pt")
    assert not (tmp_path / "made").exists()


def test_checkpoint_is_on_the_disk_before_it_has_its_name(tmp_path, monkeypatch):
    synced, sync = [], os.fsync

    def note(descriptor):
        synced.append((tmp_path / "a.pt").exists())
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", note)
    save_checkpoint(tmp_path / "a.pt", {}, {"epoch": 1})
    assert synced == [False] and read_checkpoint(tmp_path / "a.pt") == {"epoch": 1}


@pytest.mark.parametrize(
    ("state", "reason"),
    [({"model": nn.Linear(3, 1).state_dict()}, "size mismatch for weight"), ({}, "'model'")],
)
def test_checkpoint_of_another_training_is_refused(tmp_path, state, reason):
    with pytest.raises(ValueError, match=f"(?s)is of another training .*{reason}.*: remove it to"):
        restore({"model": nn.Linear(2, 1)}, state, tmp_path)


def test_processes_that_write_the_same_checkpoint_do_not_share_a_file(tmp_path, monkeypatch):
    opened = []
    save = torch.save
    monkeypatch.setattr(
        torch, "save", lambda state, file: (opened.append(file.name), save(state, file))
    )
    for process in (1, 2):
        monkeypatch.setattr(checkpoints.os, "getpid", lambda process=process: process)
        checkpoints.save_checkpoint(tmp_path / "a.pt", {}, {"process": process})
    monkeypatch.setattr(checkpoints.socket, "gethostname", lambda: "elsewhere")
    checkpoints.save_checkpoint(tmp_path / "a.pt", {}, {"process": 3})
    assert len(set(opened)) == 3
    assert [path.name for path in tmp_path.iterdir()] == ["a.pt"]
    assert checkpoints.read_checkpoint(tmp_path / "a.pt") == {"process": 3}
