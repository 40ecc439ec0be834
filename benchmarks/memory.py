"""Peak anonymous memory (RssAnon) of a command and its children; Linux only.

Mapped files are not counted: the kernel drops their pages whenever it needs the memory.

    python benchmarks/memory.py kedro run --pipeline=posenet
"""

import subprocess
import sys
import time
from pathlib import Path

import psutil

EVERY_SECONDS = 0.1


def anonymous_bytes(pid: int) -> int:
    """RssAnon of one process; 0 once it is gone."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    lines = [line for line in status.splitlines() if line.startswith("RssAnon")]
    return int(lines[0].split()[1]) * 1024 if lines else 0


def main(command: list[str]) -> int:
    """Run the command, print its peak and its wall time, and pass on its exit code."""
    start = time.monotonic()
    process = subprocess.Popen(command)
    peak = 0
    while process.poll() is None:
        try:
            family = psutil.Process(process.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            family = []
        pids = [process.pid, *(child.pid for child in family)]
        peak = max(peak, sum(map(anonymous_bytes, pids)))
        time.sleep(EVERY_SECONDS)
    print(f"peak RssAnon {peak / 2**30:.2f} GiB, wall time {time.monotonic() - start:.0f} s")
    return process.returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
