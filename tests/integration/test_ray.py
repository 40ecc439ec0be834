"""`parallel.backend: ray` on a real cluster of two nodes with addresses of loopback."""

import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
import pytest

from tests.integration.conftest import CONFIG, Copy, computed
from tests.integration.postgresql import free_port

PIPELINE = "--pipeline=permutenet"
SCORES = "08_reporting/permutenet/scores.csv"
CELLS = """permutenet:
      seeds: [0]
      shared: {{training: {{epochs: {epochs}}}}}
      cells:
        - {{network: gapnet, permutation: none, task: location}}
        - {{network: gapnet, permutation: none, task: image}}
    parallel: {{n_jobs: {jobs}, threads_per_job: 1, backend: {backend}}}
"""
EPOCHS = 6
HEAD, NODE = "127.0.0.2", "127.0.0.3"


class Cluster:
    """Two nodes with one CPU each; what talks to them needs a token.

    Args:
        folder: of Ray's own files; its path has to be short.
        code: a folder in which workers find the project.
    """

    def __init__(self, folder: Path, code: Path) -> None:
        self.folder, self.port = folder, free_port()
        self._seen: set[psutil.Process] = set()
        # as `ray get-auth-token --generate` makes one; RAY_AUTH_TOKEN_PATH could name a file of it
        self.environment = {
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": secrets.token_hex(32),
            "RAY_ADDRESS": f"{HEAD}:{self.port}",
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_worker_niceness": "0",  # or they starve beside other tests
            "PYTHONPATH": str(code),
        }

    def start(self) -> None:
        self._ray(
            "--head", f"--node-ip-address={HEAD}", f"--port={self.port}",
            f"--temp-dir={self.folder}", "--include-dashboard=false",
        )  # fmt: skip
        self._ray(f"--address={HEAD}:{self.port}", f"--node-ip-address={NODE}")

    def _ray(self, *arguments: str) -> None:
        program = Path(sys.executable).with_name("ray")
        said = self.folder.with_suffix(".txt")
        with said.open("w") as file:  # a pipe would stay open as long as the nodes
            started = subprocess.run(
                [program, "start", "--num-cpus=1", "--object-store-memory=80000000", *arguments],
                env={**os.environ, **self.environment}, stdout=file, stderr=file, check=False,
            )  # fmt: skip
        assert started.returncode == 0, said.read_text()

    def processes(self) -> list[psutil.Process]:
        """Those of the nodes, and what they have started, which gives itself other names."""
        for process in psutil.process_iter():
            try:
                if str(self.folder) in " ".join(process.cmdline()):
                    self._seen |= {process, *process.children(recursive=True)}
            except psutil.Error:
                continue
        return [process for process in self._seen if _runs(process)]

    def kill_node(self) -> None:
        (raylet,) = [
            process for process in self.processes()
            if process.name() == "raylet" and f"--node_ip_address={NODE}" in process.cmdline()
        ]  # fmt: skip
        raylet.send_signal(signal.SIGKILL)

    def stop(self) -> None:
        """End what this cluster has started, and nothing else: `ray stop` would end all."""
        for _ in range(50):
            if not (left := self.processes()):
                return
            for process in left:
                try:
                    process.kill()
                except psutil.NoSuchProcess:
                    continue
            psutil.wait_procs(left, timeout=0.2)
        raise AssertionError(f"left behind: {left}")


def _runs(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.fixture
def cluster(project):
    """Its workers find the code of the copy, as those of hosts do where it is installed."""
    folder = Path(tempfile.mkdtemp(prefix="ray-"))
    running = Cluster(folder, project.root / "src")
    try:
        running.start()
        yield running
    finally:
        running.stop()
        shutil.rmtree(folder, ignore_errors=True)
        folder.with_suffix(".txt").unlink(missing_ok=True)


def configure(copy: Copy, jobs: int, backend: str) -> None:
    copy.configure(CELLS.format(epochs=EPOCHS, jobs=jobs, backend=backend))


def forget_all_but_images(copy: Copy) -> None:
    """Each step starts processes of Ray's, which import the libraries; images need none."""
    for folder in copy.data.glob("store/permutenet/*"):
        if folder.name != "images":
            shutil.rmtree(folder)
    shutil.rmtree(copy.data / "08_reporting")


def test_backends_end_in_one_table_even_if_a_node_is_killed(project, cluster):
    scores = {}
    # the second run keeps the images; loky: test_permutenet
    for jobs, backend, cells in ((1, "sequential", 5), (2, "ray", 4)):
        configure(project, jobs, backend)
        said = project.done(PIPELINE, CONFIG, **cluster.environment)
        assert len(computed(said)) == cells
        scores[backend] = project.read(SCORES)
        forget_all_but_images(project)
    assert scores["ray"] == scores["sequential"]

    configure(project, 2, "ray")
    assert not list(project.data.glob("store/checkpoints/*"))
    said = project.root / "said.txt"
    process = project.start(PIPELINE, CONFIG, said=said, **cluster.environment)
    while len(list(project.data.glob("store/checkpoints/*.pt"))) < 2:  # both are in training
        assert process.poll() is None, said.read_text()
        time.sleep(0.05)
    cluster.kill_node()
    assert not list(project.data.glob("store/permutenet/train/*/result.json"))
    assert process.wait(timeout=240) == 0, said.read_text()
    assert project.read(SCORES) == scores["sequential"]
    assert "the Ray cluster has lost nodes: this process goes on alone" in said.read_text()
    assert len(project.stored("permutenet/train/*/result.json")) == 2
    assert {run.info.status for run in project.mlflow_runs()} == {"FINISHED"}
    cluster.stop()
    assert cluster.processes() == []
