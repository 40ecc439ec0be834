import pytest

from posinfo.experiments import EXPERIMENTS
from tests.pipelines.searched import TINY


@pytest.fixture
def tiny(monkeypatch):
    """The experiment of ``searched`` is among the experiments."""
    monkeypatch.setitem(EXPERIMENTS, "tiny", TINY)
