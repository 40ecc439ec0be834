"""`python -m MODULE` in forks of one process that has imported the libraries.

Importing PyTorch and MLflow takes most of a short run, and a fork need not do it. The process has
imported nothing of the project, and nothing of Kedro that reads a project's files when it is
imported, so that each run finds the copy that it is started in. All forks hash strings alike: that
results do not depend on the order of a set is seen where workers of loky are compared with them.
"""

import atexit
import gc
import importlib
import json
import math
import os
import runpy
import signal
import subprocess
import sys
import time
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

LIBRARIES = (
    "IPython", "dynaconf", "h5py", "jinja2", "kedro.io", "kedro_datasets.pandas",
    "matplotlib.figure", "mlflow", "mlflow.pyfunc", "mlflow.store.tracking.sqlalchemy_store",
    "omegaconf", "optuna", "pandas", "scipy.stats", "skimage.data", "sklearn.datasets",
    "sklearn.linear_model", "timm", "torch", "torchvision",
)  # fmt: skip
ENDED: list[int] = []  # the exit code of this process, once its program has ended by itself
OF_A_PROJECT = ("posinfo", "kedro.framework.project")  # reads conf/logging.yml


def run_module(
    module: str, *arguments: str, folder: Path, environment: dict[str, str]
) -> subprocess.CompletedProcess[str]:
    """What ``python -m module *arguments`` says and returns.

    Args:
        module: name of a module.
        arguments: of its command line.
        folder: in which it runs.
        environment: all its environment variables; what Python and the libraries read of them when
            they start is that of the tests.
    """
    with TemporaryDirectory() as place:
        stdout, stderr = said = Path(place) / "stdout", Path(place) / "stderr"
        code = Fork(module, *arguments, folder=folder, environment=environment, said=said).wait()
        return subprocess.CompletedProcess(
            [module, *arguments], code, stdout.read_text(), stderr.read_text()
        )


class Fork:
    """``python -m module *arguments``, begun; its methods are those of ``subprocess.Popen``.

    Args:
        said: the files that stdout and stderr are written to; they may be the same.
        module, arguments, folder, environment: see ``run_module``.
    """

    def __init__(
        self,
        module: str,
        *arguments: str,
        folder: Path,
        environment: dict[str, str],
        said: tuple[str | Path, str | Path] = (os.devnull, os.devnull),
    ) -> None:
        request = [module, arguments, str(folder), environment, [str(path) for path in said]]
        self.returncode: int | None = None
        self.pid = _ask(request)
        assert self.pid is not None

    def poll(self) -> int | None:
        if self.returncode is None:
            self.returncode = _ask(self.pid)
        return self.returncode

    def wait(self, timeout: float = math.inf) -> int:
        end = time.monotonic() + timeout
        while (code := self.poll()) is None:
            if time.monotonic() > end:
                raise subprocess.TimeoutExpired("a fork", timeout)
            time.sleep(0.01)
        return code

    def send_signal(self, number: signal.Signals) -> None:
        if self.poll() is None:  # else the number may be another's by now
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def _ask(request: list[object] | int | None) -> int | None:
    server = _server()
    assert server.stdin is not None and server.stdout is not None
    server.stdin.write(json.dumps(request) + "\n")
    server.stdin.flush()
    answer = server.stdout.readline()
    assert answer, "the process that forks has ended"
    return json.loads(answer)


@cache
def _server() -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def serve() -> None:
    """Answer each line of stdin; ends with it.

    To a list, fork and answer the fork's number; to such a number, answer the exit code that the
    fork has ended with, or null.
    """
    atexit.register(leave)  # the first: what is registered later is called before
    for name in LIBRARIES:
        importlib.import_module(name)
    assert not set(OF_A_PROJECT) & set(sys.modules)
    gc.collect()
    gc.freeze()  # else each fork's collections write to, and thereby copy, all that it shares
    for line in sys.stdin:
        request = json.loads(line)
        if isinstance(request, int):
            ended, status = os.waitpid(request, os.WNOHANG)
            answer = os.waitstatus_to_exitcode(status) if ended else None
        elif (answer := os.fork()) == 0:
            run(*request)
            return  # the interpreter ends as it does after any program, but for `leave`
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


def run(
    module: str, arguments: list[str], folder: str, environment: dict[str, str], said: list[str]
) -> None:
    """Become ``python -m module *arguments``; the paths in ``said`` are of its two streams."""
    for stream, path in enumerate((os.devnull, *said)):
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND)
        os.dup2(file, stream)
        os.close(file)
    os.environ.clear()
    os.environ.update(environment)
    # a shell that runs the tests in the background has Ctrl-C ignored, and children inherit
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.chdir(folder)
    sys.path[0:1] = [folder, *filter(None, environment.get("PYTHONPATH", "").split(os.pathsep))]
    sys.argv = [module, *arguments]
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except SystemExit as ended:
        if ended.code is None or isinstance(ended.code, int):  # others are printed, too
            ENDED.append(ended.code or 0)
        raise
    ENDED.append(0)


def leave() -> None:
    """End without freeing what the fork shares, which would be copied first.

    What goes wrong in that alone is seen where a run has an interpreter of its own.
    """
    if ENDED:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(ENDED[0])


if __name__ == "__main__":
    serve()
