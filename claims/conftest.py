from pathlib import Path

import pandas as pd
import pytest

REPORTING = Path(__file__).parents[1] / "data" / "08_reporting"


def scores_of(experiment: str) -> pd.DataFrame:
    path = REPORTING / experiment / "scores.csv"
    if not path.exists():
        pytest.fail(f"{path} is missing: run `kedro run --pipeline={experiment}` first")
    return pd.read_csv(path, keep_default_na=False, dtype={"table": str})


@pytest.fixture(scope="session")
def posenet() -> pd.DataFrame:
    """Means over seeds of the default run, by backbone, pattern and stimulus."""
    columns = ["spc", "mae", "floor", "skill"]
    return scores_of("posenet").groupby(["backbone", "pattern", "stimulus"])[columns].mean()


@pytest.fixture(scope="session")
def ablations() -> pd.Series:
    """Mean SPC on photographs over seeds of the default run, by cell and pattern."""
    photos = scores_of("posenet_ablations").query("stimulus == 'photos'")
    return photos.groupby(["cell", "pattern"]).spc.mean()


@pytest.fixture(scope="session")
def permutenet() -> pd.DataFrame:
    """Mean accuracy and floor (the accuracy of chance) over seeds of the default run, by cell."""
    return scores_of("permutenet").groupby("cell")[["accuracy", "floor"]].mean()


@pytest.fixture(scope="session")
def augshift() -> pd.DataFrame:
    """Means over seeds of the default run over the training crops' own range, by cell."""
    columns = ["top1", "consistency_exact", "consistency_sampled"]
    scores = scores_of("augshift").query("max_shift == 8 and shift_padding == 'zero'")
    return scores.groupby("cell")[columns].mean()
