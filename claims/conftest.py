from pathlib import Path

import pandas as pd
import pytest

REPORTING = Path(__file__).parents[1] / "data" / "08_reporting"


@pytest.fixture(scope="session")
def posenet() -> pd.DataFrame:
    """Means over seeds of the default run, by backbone, pattern and stimulus."""
    path = REPORTING / "posenet" / "scores.csv"
    if not path.exists():
        pytest.fail(f"{path} is missing: run `kedro run --pipeline=posenet` first")
    scores = pd.read_csv(path, keep_default_na=False)
    columns = ["spc", "mae", "mae_floor", "skill"]
    return scores.groupby(["backbone", "pattern", "stimulus"])[columns].mean()
