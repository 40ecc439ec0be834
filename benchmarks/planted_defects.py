"""How many defects of the kind that a careless colleague makes the tests find.

Each defect of `benchmarks/defects` is planted in a copy of the project, in which its tests then
run; the working tree stays as it is. A defect is killed when one of its tests fails, or when they
take too long, and survives when all pass. Tests that fail without any defect, or that do not run
with one, prove nothing and are called INVALID.

    python benchmarks/planted_defects.py                    # all of them
    python benchmarks/planted_defects.py --only training:   # those with this text in their line
    python benchmarks/planted_defects.py --list             # only check that each can be planted

Libraries are loaded once: each copy is tested in a fork of this process.
"""

import argparse
import gc
import importlib
import multiprocessing
import os
import shlex
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

from defects import SUBJECTS
from defects.defect import Defect

PROJECT = Path(__file__).resolve().parents[1]
COPIED = ("src", "tests", "conf", "docs", "pyproject.toml", "requirements-weights.lock")
SOURCE = "src/posinfo"
LIBRARIES = (
    "h5py", "jaxtyping", "matplotlib.figure", "mlflow", "pandas", "pytest", "safetensors.torch",
    "scipy.stats", "skimage.data", "sklearn.datasets", "sklearn.model_selection", "timm", "torch",
    "torchvision",
)  # fmt: skip
TIMEOUT = 240  # seconds
PASSED, FAILED = 0, 1  # exit codes of pytest
KILLED, TIMED_OUT, SURVIVED, INVALID = "killed", "killed by the timeout", "SURVIVED", "INVALID"


def misfit(defect: Defect) -> str:
    """Why a defect cannot be planted; empty if it can."""
    path = PROJECT / SOURCE / defect.file
    if not path.is_file():
        return "there is no such module"
    if defect.old == defect.new:
        return "nothing is changed"
    for name in shlex.split(defect.tests):
        if name.endswith(".py") and not (PROJECT / "tests" / name).is_file():
            return f"there are no tests {name}"
    count = path.read_text().count(defect.old)
    return "" if count == 1 else f"the old text stands there {count} times, not once"


@contextmanager
def copied(defect: Defect | None) -> Iterator[Path]:
    """A copy of the project with a defect, or without one, while the block runs."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for name in COPIED:
            source, ignored = PROJECT / name, shutil.ignore_patterns("__pycache__")
            if source.is_dir():
                shutil.copytree(source, root / name, ignore=ignored)
            else:
                shutil.copy(source, root)
        if defect is not None:
            module = root / SOURCE / defect.file
            module.write_text(module.read_text().replace(defect.old, defect.new))
        yield root


def run_tests(root: Path, tests: str) -> None:
    """In a process of its own: pytest in a copy of the project; exits with its code."""
    os.setsid()  # so that what the tests start ends with them
    os.chdir(root)
    log = os.open(root / "output.txt", os.O_CREAT | os.O_WRONLY)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.environ["PYTHONPATH"] = str(root / "src")
    sys.dont_write_bytecode = True
    sys.path[:0] = [str(root), str(root / "src")]
    arguments = [f"tests/{a}" if a.endswith(".py") else a for a in shlex.split(tests)]
    code = importlib.import_module("pytest").main(
        ["-x", "-q", "-p", "no:cacheprovider", *arguments]
    )
    tested = Path(importlib.import_module("posinfo").__file__ or "")
    os._exit(code if tested.is_relative_to(root) else -1)


def exit_code(defect: Defect | None, tests: str) -> int | None:
    """Of the tests in a copy of the project; None: they took too long."""
    with copied(defect) as root:
        process = multiprocessing.get_context("fork").Process(target=run_tests, args=[root, tests])
        process.start()
        process.join(TIMEOUT)
        timed_out = process.is_alive()
        with suppress(ProcessLookupError):
            os.killpg(process.pid or 0, signal.SIGKILL)
        process.join()
        return None if timed_out else process.exitcode


@cache
def pass_undamaged(tests: str) -> bool:
    """Whether tests pass where nothing is planted."""
    return exit_code(None, tests) == PASSED


def verdict(defect: Defect) -> str:
    """What became of a defect."""
    if misfit(defect) or not pass_undamaged(defect.tests):
        return INVALID
    code = exit_code(defect, defect.tests)
    return {PASSED: SURVIVED, FAILED: KILLED, None: TIMED_OUT}.get(code, INVALID)


def chosen(text: str) -> dict[str, list[Defect]]:
    """The defects whose line has a text in it, by subject."""
    lines = {
        subject: [each for each in defects if text in f"{subject}: {each.file}: {each.what}"]
        for subject, defects in SUBJECTS.items()
    }
    return {subject: defects for subject, defects in lines.items() if defects}


def check(subjects: dict[str, list[Defect]]) -> int:
    """Print which defects cannot be planted; 1 if there are any."""
    found = [each for defects in subjects.values() for each in defects if misfit(each)]
    for each in found:
        print(f"{each.file}: {each.what}: {misfit(each)}")
    count = sum(map(len, subjects.values()))
    print(f"{count - len(found)} of {count} defects can be planted")
    return int(bool(found))


def campaign(subjects: dict[str, list[Defect]]) -> int:
    """Plant each defect, and print what became of it; 1 if one survives without a reason."""
    os.environ.update(OMP_NUM_THREADS="1", DO_NOT_TRACK="1", MLFLOW_DISABLE_TELEMETRY="true")
    for name in LIBRARIES:
        importlib.import_module(name)
    gc.freeze()  # else each fork's collections write to, and thereby copy, all that it shares
    left: list[tuple[str, Defect]] = []
    counts: dict[str, Counter[str]] = {}
    for subject, defects in subjects.items():
        counts[subject] = Counter()
        for each in defects:
            start = time.perf_counter()
            said = verdict(each)
            seconds = time.perf_counter() - start
            line = f"{said:8} {seconds:4.0f} s  {subject}: {each.file}: {each.what}"
            print(line, flush=True)
            counts[subject][KILLED if said == TIMED_OUT else said] += 1
            left += [(said, each)] if said in (SURVIVED, INVALID) else []
    print()
    for subject, of_subject in {**counts, "all": sum(counts.values(), Counter())}.items():
        killed, total = of_subject[KILLED], of_subject.total()
        print(f"{subject}: {killed} of {total} killed ({killed / total:.0%})")
    for said, each in left:
        print(f"{said} {each.file}: {each.what}: {each.reason or 'no reason is given'}")
    return int(any(said == INVALID or not each.reason for said, each in left))


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description="Plant defects and see which tests find them.")
    parser.add_argument(
        "--only", default="", metavar="TEXT", help="only those whose printed line has this text"
    )
    parser.add_argument("--list", action="store_true", help="only check that they can be planted")
    arguments = parser.parse_args()
    subjects = chosen(arguments.only)
    if not subjects:
        parser.error(f"no defect has {arguments.only!r} in its line")
    return check(subjects) if arguments.list else campaign(subjects)


if __name__ == "__main__":
    sys.exit(main())
