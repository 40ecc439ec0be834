"""How much bfloat16 moves an SPC: the same readouts on features of both precisions.

Runs `posenet` twice, for one backbone, in float32 and in bfloat16, and compares the scores cell by
cell. Results go to the usual places; features of both precisions stay cached.

    python benchmarks/precision.py
"""

import subprocess
import sys
from pathlib import Path

import pandas as pd

SCORES = Path("data/08_reporting/posenet/scores.csv")
CELL = ["backbone", "pattern", "stimulus", "seed"]


def scores(precision: str, only: str) -> pd.Series:
    """SPC by cell and seed of a run in this precision."""
    run = Path("data/precision.yml")
    run.write_text(f"run:\n  params: {{precision: {precision}, posenet: {{only: [{only}]}}}}\n")
    command = [sys.executable, "-m", "kedro", "run", "--pipeline=posenet", f"--config={run}"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    run.unlink()
    return pd.read_csv(SCORES).set_index(CELL).spc


def main() -> None:
    """Print the largest and the mean difference per pattern."""
    only = sys.argv[1] if len(sys.argv) > 1 else "vgg16"
    exact, fast = scores("float32", only), scores("bfloat16", only)
    cells = pd.DataFrame({"float32": exact, "bfloat16": fast}).groupby(CELL[:3]).mean()
    cells["difference"] = (cells.bfloat16 - cells.float32).abs()
    print(cells.round(4).to_string())
    print(f"largest difference of a cell: {cells.difference.max():.4f}")


if __name__ == "__main__":
    main()
