"""Kills, races, damages and starves runs of `--env=test`, and looks at what comes after.

    python benchmarks/faults.py                                              # takes an hour or two
    python benchmarks/faults.py --experiment=consistency --fault=killed --kills=3

Every fault happens in a folder of its own. A run that follows must end in the tables of an
undisturbed run, bit for bit; a run during a fault that lasts (a full disk, a folder that is
read-only) may end in one message without a traceback instead. What was finished before a fault must
still be there, untouched, after it. Full disks and read-only folders are made by mounts, which need
root on Linux; without it they are left out, and said to be.
"""

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

PROJECT = Path(__file__).parents[1]
EXPERIMENTS = (
    "posenet", "posenet_ablations", "permutenet", "augshift", "consistency", "channel_attack",
    "boundary", "audit", "sweep",
)  # fmt: skip
FIRST_SECONDS = 3.0
SMALL_DISKS = ("1M", "4M")


class Folder:
    """A copy of the project in which an experiment is run.

    Args:
        root: an empty folder.
        experiment: name of a pipeline.
        finished: a copy in which it has been run, whose results are copied.
    """

    def __init__(self, root: Path, experiment: str, finished: "Folder | None" = None) -> None:
        self.root, self.experiment = root, experiment
        ignored = shutil.ignore_patterns("__pycache__", "*.egg-info", "local")
        for name in ("conf", "src"):
            shutil.copytree(PROJECT / name, root / name, ignore=ignored)
        shutil.copy(PROJECT / "pyproject.toml", root)
        (root / "data").mkdir()
        if finished is not None:
            shutil.copytree(
                finished.root / "data", root / "data", symlinks=True, dirs_exist_ok=True
            )
            shutil.copy(finished.root / "mlflow.db", root)

    def start(self) -> subprocess.Popen[str]:
        """A run in the background; its output is one stream."""
        command = ["-m", "kedro", "run", "--env=test", f"--pipeline={self.experiment}"]
        variables = {"DO_NOT_TRACK": "1", "MLFLOW_DISABLE_TELEMETRY": "true"}
        return subprocess.Popen(
            [sys.executable, *command], cwd=self.root, env={**os.environ, **variables}, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip

    def run(self) -> tuple[int, str]:
        """Exit status and output."""
        process = self.start()
        said, _ = process.communicate()
        return process.returncode, said

    def tables(self) -> dict[str, bytes]:
        """The tables of the report by name."""
        reports = self.root / "data/test/08_reporting" / self.experiment
        return {path.name: path.read_bytes() for path in sorted(reports.glob("*.csv"))}

    def results(self) -> dict[str, int]:
        """When each finished result was written (ns), by its folder."""
        store = self.root / "data/test/store"
        found = [path for path in store.rglob("result.json") if path.parent.suffix != ".partial"]
        return {str(path): path.stat().st_mtime_ns for path in found}


Fault = Callable[[Folder, Folder, random.Random], Iterator[str]]
"""Given an undisturbed folder, a fresh one, and what draws the moment: yields what went wrong."""


def killed(undisturbed: Folder, fresh: Folder, draw: random.Random) -> Iterator[str]:
    """SIGKILL at any moment."""
    yield from _stopped(signal.SIGKILL, undisturbed, fresh, draw.uniform(0, _duration(undisturbed)))


def killed_early(undisturbed: Folder, fresh: Folder, draw: random.Random) -> Iterator[str]:
    """SIGKILL in the first three seconds of a fresh folder, or while its database is being made."""
    yield from _stopped(signal.SIGKILL, undisturbed, fresh, draw.uniform(0, FIRST_SECONDS))


def killed_while_the_database_is_made(
    undisturbed: Folder, fresh: Folder, draw: random.Random
) -> Iterator[str]:
    """SIGKILL a moment after the first file of MLflow's appears."""
    process = fresh.start()
    while process.poll() is None and not list(fresh.root.glob("*mlflow.db*")):
        time.sleep(0.01)
    time.sleep(draw.uniform(0, 2))
    process.kill()
    process.communicate()
    yield from _as_undisturbed(undisturbed, fresh)


def interrupted(undisturbed: Folder, fresh: Folder, draw: random.Random) -> Iterator[str]:
    """Ctrl-C in mid-run."""
    yield from _stopped(
        signal.SIGINT, undisturbed, fresh, draw.uniform(0.3, 0.9) * _duration(undisturbed)
    )


def terminated(undisturbed: Folder, fresh: Folder, draw: random.Random) -> Iterator[str]:
    """SIGTERM in mid-run."""
    yield from _stopped(
        signal.SIGTERM, undisturbed, fresh, draw.uniform(0.3, 0.9) * _duration(undisturbed)
    )


def two_at_once(undisturbed: Folder, fresh: Folder, draw: random.Random) -> Iterator[str]:
    """Two runs are started in a fresh folder, less than three seconds apart."""
    both = [fresh.start()]
    time.sleep(draw.uniform(0, FIRST_SECONDS))
    both.append(fresh.start())
    for process in both:
        said, _ = process.communicate()
        if process.returncode:
            yield f"one of two runs failed: {said[-500:]}"
    yield from _as_undisturbed(undisturbed, fresh)


def damaged(undisturbed: Folder, fresh: Folder, draw: random.Random) -> Iterator[str]:
    """One file of each kind in the store is truncated, emptied or overwritten, all at once."""
    again = Folder(_new(fresh.root, "damaged"), fresh.experiment, undisturbed)
    kinds: dict[str, list[Path]] = {}
    hit = []
    for path in (again.root / "data/test/store").rglob("*"):
        if path.is_file():
            kinds.setdefault(path.suffix if path.parent.name == "files" else path.name, []).append(
                path
            )
    for kind, files in sorted(kinds.items()):
        file = draw.choice(sorted(files))
        folder = file.parent.parent if file.parent.name == "files" else file.parent
        hit.append(str(folder / "result.json"))
        content = bytearray(file.read_bytes())
        how = draw.choice(["truncated", "empty", "overwritten"])
        if how == "overwritten" and content:
            content[draw.choice([0, -2])] ^= 1
        file.write_bytes({"truncated": content[:-1], "empty": b""}.get(how, bytes(content)))
        print(f"    {kind}: {how}")
    yield from _as_undisturbed(undisturbed, again, hit)


def full_disk(undisturbed: Folder, fresh: Folder, draw: random.Random) -> Iterator[str]:
    """`data/` is a file system of 1 MB during a run, then of 4 MB during another."""
    for size in SMALL_DISKS:
        with _mounted(fresh.root / "data", "-t", "tmpfs", "-o", f"size={size}", "tmpfs"):
            yield from _says_why(undisturbed, fresh)
    yield from _as_undisturbed(undisturbed, fresh)


def read_only_data(undisturbed: Folder, fresh: Folder, draw: random.Random) -> Iterator[str]:
    """`data/` cannot be written during a run."""
    with _mounted(fresh.root / "data", "-t", "tmpfs", "-o", "ro", "tmpfs"):
        yield from _says_why(undisturbed, fresh)
    yield from _as_undisturbed(undisturbed, fresh)


def read_only_database(undisturbed: Folder, fresh: Folder, draw: random.Random) -> Iterator[str]:
    """`mlflow.db` cannot be written during a run."""
    database = fresh.root / "mlflow.db"
    shutil.copy(undisturbed.root / "mlflow.db", database)
    with _mounted(database, "--bind", "-o", "ro", str(undisturbed.root / "mlflow.db")):
        yield from _says_why(undisturbed, fresh)
    yield from _as_undisturbed(undisturbed, fresh)


FAULTS: dict[str, Fault] = {
    fault.__name__: fault
    for fault in (
        killed, killed_early, killed_while_the_database_is_made, interrupted, terminated,
        two_at_once, damaged, full_disk, read_only_data, read_only_database,
    )
}  # fmt: skip
REPEATED = ("killed", "killed_early", "killed_while_the_database_is_made", "two_at_once")
MOUNTED = ("full_disk", "read_only_data", "read_only_database")
# two sweeps may end one trial more than one does: tests/integration/test_sweep.py
LEFT_OUT = {("sweep", "two_at_once"): "two sweeps may end a trial more than one"}
_DURATIONS: dict[Path, float] = {}


def _duration(undisturbed: Folder) -> float:
    return _DURATIONS[undisturbed.root]


def _stopped(by: signal.Signals, undisturbed: Folder, fresh: Folder, after: float) -> Iterator[str]:
    process = fresh.start()
    try:
        process.wait(after)
    except subprocess.TimeoutExpired:
        process.send_signal(by)
    process.communicate()
    print(f"    {by.name} after {after:.1f} s, {len(fresh.results())} results were finished")
    yield from _as_undisturbed(undisturbed, fresh)


def _as_undisturbed(undisturbed: Folder, folder: Folder, hit: Sequence[str] = ()) -> Iterator[str]:
    """What is wrong with the next run, and with what had been finished and was not hit."""
    before = folder.results()
    status, said = folder.run()
    if status:
        yield f"the next run failed: {said[-1500:]}"
    elif folder.tables() != undisturbed.tables():
        yield "the next run ended in other tables"
    after = folder.results()
    lost = [path for path, written in before.items() if after.get(path) != written]
    if set(lost) - set(hit):
        yield f"{len(lost)} finished results were lost, the first is {lost[0]}"


def _says_why(undisturbed: Folder, folder: Folder) -> Iterator[str]:
    """What is wrong with a run during a fault that lasts."""
    status, said = folder.run()
    if "Traceback" in said:
        yield f"a traceback: {said[-1500:]}"
    elif status and " ERROR " not in said:
        yield f"no message: {said[-500:]}"
    elif not status and folder.tables() != undisturbed.tables():
        yield "the run ended in other tables"
    print(f"    {said.strip().splitlines()[-1][:200] if said.strip() else ''}")


@contextmanager
def _mounted(target: Path, *arguments: str) -> Iterator[None]:
    subprocess.run(["mount", *arguments, str(target)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", str(target)], check=True)


def _new(root: Path, name: str) -> Path:
    folder = root.with_name(f"{root.name}-{name}")
    folder.mkdir(parents=True)
    return folder


def main() -> None:
    """Try each fault on each experiment, and say which held."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--experiment", action="append", choices=EXPERIMENTS)
    parser.add_argument("--fault", action="append", choices=FAULTS)
    parser.add_argument("--kills", type=int, default=5, help="of each kind of kill, and races")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    options = parser.parse_args()
    draw, failed, count = random.Random(options.seed), [], 0
    with tempfile.TemporaryDirectory() as place:
        for experiment in options.experiment or EXPERIMENTS:
            undisturbed = Folder(_new(Path(place) / experiment, "undisturbed"), experiment)
            start = time.monotonic()
            status, said = undisturbed.run()
            _DURATIONS[undisturbed.root] = time.monotonic() - start
            if status:
                sys.exit(f"{experiment} fails undisturbed: {said}")
            print(f"{experiment}: undisturbed in {_duration(undisturbed):.0f} s", flush=True)
            for name in options.fault or FAULTS:
                if name in MOUNTED and os.geteuid():
                    print(f"  {name}: left out, it needs root")
                    continue
                if (experiment, name) in LEFT_OUT:
                    print(f"  {name}: left out, {LEFT_OUT[experiment, name]}")
                    continue
                for number in range(options.kills if name in REPEATED else 1):
                    root = _new(Path(place) / experiment, f"{name}-{number}")
                    wrong = list(FAULTS[name](undisturbed, Folder(root, experiment), draw))
                    print(f"  {name} {number + 1}: {'; '.join(wrong) or 'held'}", flush=True)
                    failed += [f"{experiment} {name}"] * bool(wrong)
                    count += 1
                    shutil.rmtree(root)
    print(f"{count - len(failed)} of {count} faults held")
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
