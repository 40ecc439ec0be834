"""A process that opens studies at the same moment as another one."""

import os
from collections.abc import Sequence
from pathlib import Path

from tests.conftest import PROJECT
from tests.integration.forked import Fork

OPEN = """
import sys, time
from pathlib import Path
from posinfo.experiments import EXPERIMENTS
from posinfo.pipelines.sweeping_storage import open_study
from tests.pipelines.searched import TINY, sweep_of
EXPERIMENTS["tiny"] = TINY
me, *addresses = sys.argv[1:]
for number, address in enumerate(addresses):
    sweep = sweep_of(Path("."), storage=address)
    Path(f"ready-{number}-{me}").touch()
    while len(list(Path(".").glob(f"ready-{number}-*"))) < 2:
        time.sleep(0.001)
    print(open_study(sweep).study_name)
"""


def opening(addresses: Sequence[str], said: Path, **environment: str) -> Fork:
    """Begin a process that opens a study in each storage, once the other one is as far.

    Args:
        addresses: of the storages; those of both processes.
        said: a file of this process alone, beside that of the other: gets the studies' names.
        environment: more variables.
    """
    folder = said.parent
    (folder / "opens.py").write_text(OPEN)
    paths = {"PYTHONPATH": f"{PROJECT}:{PROJECT / 'src'}"}
    return Fork(
        "opens", said.name, *addresses, folder=folder, said=(said, said),
        environment={**os.environ, **paths, **environment},
    )  # fmt: skip
