import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import PROJECT


class Copy:
    """A copy of the project in a folder of its own, driven as a user drives it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for name in ("conf", "docs", "src"):
            ignored = shutil.ignore_patterns("__pycache__", "local")
            shutil.copytree(PROJECT / name, root / name, ignore=ignored)
        shutil.copy(PROJECT / "pyproject.toml", root)

    def kedro(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        variables = {**os.environ, "COLUMNS": "400", "DO_NOT_TRACK": "1", **environment}
        return subprocess.run(
            [sys.executable, "-m", "kedro", *arguments],
            cwd=self.root, env=variables, capture_output=True, text=True, check=False,
        )  # fmt: skip

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "kedro", "run", "--env=test", *arguments]
        return subprocess.Popen(
            command,
            cwd=self.root,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            # a shell that runs the tests in the background has Ctrl-C ignored, and children inherit
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # noqa: PLW1509
        )

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return self.kedro("run", "--env=test", *arguments, **environment)

    def read(self, path: str) -> bytes:
        return (self.data / path).read_bytes()

    @property
    def data(self) -> Path:
        return self.root / "data" / "test"


@pytest.fixture
def project(tmp_path: Path) -> Copy:
    return Copy(tmp_path)


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Copy:
    """A project in which `kedro run --pipeline=posenet` has been run once; only read it."""
    copy = Copy(tmp_path_factory.mktemp("finished"))
    copy.result = copy.run("--pipeline=posenet")
    assert copy.result.returncode == 0, copy.result.stdout + copy.result.stderr
    return copy


@pytest.fixture(scope="session")
def ablated(tmp_path_factory: pytest.TempPathFactory) -> Copy:
    """A project in which `kedro run --pipeline=posenet_ablations` alone has been run; read it."""
    copy = Copy(tmp_path_factory.mktemp("ablated"))
    copy.result = copy.run("--pipeline=posenet_ablations")
    assert copy.result.returncode == 0, copy.result.stdout + copy.result.stderr
    return copy
