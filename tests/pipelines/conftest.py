import pytest

from posinfo.experiments import EXPERIMENTS
from posinfo.pipelines.requests import forget_plans
from tests.pipelines.searched import TINY


@pytest.fixture
def tiny(monkeypatch):
    """The experiment of ``searched`` is among the experiments."""
    monkeypatch.setitem(EXPERIMENTS, "tiny", TINY)
    forget_plans()
    yield
    forget_plans()
