"""How long a run takes that has nothing to compute, beside Kedro's own start.

    python benchmarks/second_run.py                                  # posenet
    python benchmarks/second_run.py --pipeline=permutenet --env=test

The pipeline must have been run with the same arguments before. Kedro's start is `kedro registry
list`, which imports the project and registers its pipelines. Both are run alternately.
"""

import re
import statistics
import subprocess
import sys
import time

ROUNDS = 3


def seconds(*arguments: str) -> float:
    """Wall time of a command of Kedro's."""
    start = time.perf_counter()
    command = [sys.executable, "-m", "kedro", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr)
    if arguments[0] == "run" and "to compute" in done.stdout:
        counts = done.stdout.partition("to compute: ")[2].partition("\n")[0]
        if re.search(r"\b[1-9]\d* of \d", counts):
            sys.exit(f"the run had something to compute: {counts}")
    return time.perf_counter() - start


def main() -> None:
    """Print the medians and their difference."""
    run = ["run", *(sys.argv[1:] or ["--pipeline=posenet"])]
    rounds = [(seconds("registry", "list"), seconds(*run)) for _ in range(ROUNDS)]
    start, second = (statistics.median(each) for each in zip(*rounds, strict=True))
    print(f"kedro registry list: {start:.1f} s; kedro {' '.join(run)}: {second:.1f} s")
    print(f"difference: {second - start:.1f} s (medians of {ROUNDS} rounds)")


if __name__ == "__main__":
    main()
