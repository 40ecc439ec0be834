from collections.abc import Callable
from functools import partial
from pathlib import Path

import pandas as pd
import pytest

REPORTING = Path(__file__).parents[1] / "data" / "08_reporting"


def table_of(experiment: str, name: str = "scores") -> pd.DataFrame:
    path = REPORTING / experiment / f"{name}.csv"
    if not path.exists():
        pytest.fail(f"{path} is missing: run `kedro run --pipeline={experiment}` first")
    return pd.read_csv(path, keep_default_na=False, dtype={"table": str})


@pytest.fixture(scope="session")
def posenet() -> pd.DataFrame:
    """Means over seeds of the default run, by backbone, pattern and stimulus."""
    columns = ["spc", "mae", "floor", "skill"]
    return table_of("posenet").groupby(["backbone", "pattern", "stimulus"])[columns].mean()


@pytest.fixture(scope="session")
def posenet_pairs() -> pd.DataFrame:
    """Paired differences of SPC over photographs, by pattern and the two backbones."""
    return table_of("posenet", "comparisons").set_index(["measure", "cell", "against"])


@pytest.fixture(scope="session")
def ablations() -> pd.Series:
    """Mean SPC on photographs over seeds of the default run, by cell and pattern."""
    photos = table_of("posenet_ablations").query("stimulus == 'photos'")
    return photos.groupby(["cell", "pattern"]).spc.mean()


@pytest.fixture(scope="session")
def permutenet() -> pd.DataFrame:
    """Mean accuracy and floor (the accuracy of chance) over seeds of the default run, by cell."""
    return table_of("permutenet").groupby("cell")[["accuracy", "floor"]].mean()


@pytest.fixture(scope="session")
def augshift() -> pd.DataFrame:
    """Scores of the default run, a row per cell, seed and range of offsets."""
    return table_of("augshift")


@pytest.fixture(scope="session")
def augshift_pairs() -> pd.DataFrame:
    """Paired differences of the default run, by range, measure and the two cells."""
    pairs = table_of("augshift", "comparisons")
    pairs["range"] = pairs.shift_padding + "-" + pairs.max_shift.astype(str)
    return pairs.set_index(["range", "measure", "cell", "against"]).sort_index()


@pytest.fixture(scope="session")
def channel_ranking() -> pd.DataFrame:
    """Channels of the default run, a row per network, seed and channel."""
    return table_of("channel_attack", "channel_ranking")


@pytest.fixture(scope="session")
def channel_effects() -> pd.DataFrame:
    """What rankings of the default run take beyond random channels, over seeds."""
    return table_of("channel_attack", "table")


@pytest.fixture(scope="session")
def channel_networks() -> pd.DataFrame:
    """Intact networks of the default run, a row per network and seed."""
    return table_of("channel_attack", "networks")


@pytest.fixture(scope="session")
def boundary() -> Callable[[str], pd.DataFrame]:
    """The tables of the default run, by name."""
    return partial(table_of, "boundary")
