import io
import re

import pytest
import rich
from rich.console import Console

from posinfo.pipelines import progress
from posinfo.pipelines.progress import step_bar


@pytest.fixture
def terminal(monkeypatch):
    """Descriptions and counts of the bars, drawing after drawing."""
    console = Console(force_terminal=True, file=io.StringIO(), width=120, color_system=None)
    monkeypatch.setattr(progress, "get_console", lambda: console)
    codes = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")

    def drawn() -> list[tuple[str, str]]:
        lines = codes.sub("", console.file.getvalue()).replace("\r", "\n").split("\n")
        found = [re.match(r"(\S.*?) +[━╸╺ ]*(\d+)/ *(\d+|\?)", line) for line in lines]
        return [(line[1], f"{line[2]}/{line[3]}") for line in found if line]

    return drawn


@pytest.fixture
def step(monkeypatch):
    """A bar that is drawn at each change, and not by a thread now and then."""

    class Drawn(progress.Progress):
        def __init__(self, *columns, **options):
            super().__init__(*columns, **options, auto_refresh=False)

        def update(self, *arguments, **options):
            super().update(*arguments, **options)
            self.refresh()

        def advance(self, *arguments, **options):
            super().advance(*arguments, **options)
            self.refresh()

    monkeypatch.setattr(progress, "Progress", Drawn)
    return step_bar


def test_bar_shows_the_step_and_how_many_cells_are_done(step, terminal):
    with step("readouts", 3) as bar:
        bar.ended(1)
        bar.ended(2)
    assert list(dict.fromkeys(terminal())) == [
        ("readouts", "0/3"),
        ("readouts", "1/3"),
        ("readouts", "2/3"),
    ]


def test_bar_shows_the_cell_in_work_and_how_far_it_is(step, terminal):
    with step("features", 2) as bar:
        bar.start("vgg16.train")
        bar.total(400)
        bar.advance(32)
        bar.advance(32)
        bar.ended(1)
        bar.start("posenet.train")
        bar.total(8)
        bar.advance(2)
    cells = [line for line in terminal() if line[0] != "features"]
    assert list(dict.fromkeys(cells)) == [
        ("vgg16.train", "0/?"),
        ("vgg16.train", "0/400"),
        ("vgg16.train", "32/400"),
        ("vgg16.train", "64/400"),
        ("posenet.train", "0/?"),
        ("posenet.train", "0/8"),
        ("posenet.train", "2/8"),
    ]


def test_bar_shows_the_epoch_of_the_cell_in_work(step, terminal):
    with step("train", 1) as bar:
        bar.start("gapnet-seed0")
        bar.epoch(3, 0.123456, 0.875)
    assert terminal()[-1][0] == "gapnet-seed0 epoch 3: loss 0.123, validation 0.875"


def test_next_cell_begins_without_the_epoch_of_the_last(step, terminal):
    with step("train", 2) as bar:
        bar.start("first")
        bar.epoch(3, 0.5, 0.5)
        bar.start("second")
        bar.advance(1)
    assert terminal()[-1] == ("second", "1/?")


def test_cell_is_not_drawn_before_one_is_begun(step, terminal):
    with step("train", 2) as bar:
        bar.ended(1)
    assert {name for name, _ in terminal()} == {"train"}


def test_bar_is_drawn_on_the_console_of_the_log(monkeypatch):
    console = Console(force_terminal=True, file=io.StringIO(), width=100)
    monkeypatch.setattr(rich, "_console", console)
    with step_bar("images", 1):
        pass
    assert "images" in console.file.getvalue()


def test_bar_is_silent_without_a_terminal(monkeypatch, capfd):
    console = Console(file=io.StringIO(), force_terminal=False)
    monkeypatch.setattr(progress, "get_console", lambda: console)
    with step_bar("images", 3) as bar:
        for name in "abc":
            bar.start(name)
            bar.total(2)
            bar.advance(2)
            bar.epoch(1, 0.5, 0.5)
            bar.ended(1)
    assert console.file.getvalue() == ""
    assert capfd.readouterr() == ("", "")
