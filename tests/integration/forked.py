"""`python -m MODULE` in forks of one process that has imported the libraries.

Importing PyTorch and MLflow takes most of a short run, and a fork need not do it. The process has
imported nothing of the project, and nothing of Kedro that reads a project's files when it is
imported, so that each run finds the copy that it is started in.
"""

import importlib
import json
import os
import runpy
import subprocess
import sys
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

LIBRARIES = (
    "IPython", "dynaconf", "h5py", "jinja2", "kedro.io", "kedro_datasets.pandas",
    "matplotlib.figure", "mlflow", "mlflow.pyfunc", "mlflow.store.tracking.sqlalchemy_store",
    "omegaconf", "optuna", "pandas", "scipy.stats", "skimage.data", "sklearn.datasets",
    "sklearn.linear_model", "timm", "torch", "torchvision",
)  # fmt: skip
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
        said = [os.path.join(place, name) for name in ("stdout", "stderr")]
        server = _server()
        assert server.stdin is not None and server.stdout is not None
        request = [module, arguments, str(folder), environment, said]
        server.stdin.write(json.dumps(request) + "\n")
        server.stdin.flush()
        code = server.stdout.readline()
        assert code, "the process that forks has ended"
        return subprocess.CompletedProcess(
            [module, *arguments], int(code), *(Path(path).read_text() for path in said)
        )


@cache
def _server() -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def serve() -> None:
    """Fork for each line of stdin, and write the exit code of each fork; ends with stdin."""
    for name in LIBRARIES:
        importlib.import_module(name)
    assert not set(OF_A_PROJECT) & set(sys.modules)
    for line in sys.stdin:
        fork = os.fork()
        if fork == 0:
            run(*json.loads(line))
            return  # the interpreter ends as it does after any program
        _, status = os.waitpid(fork, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


def run(
    module: str, arguments: list[str], folder: str, environment: dict[str, str], said: list[str]
) -> None:
    """Become ``python -m module *arguments``; the paths in ``said`` are of its two streams."""
    for stream, path in enumerate((os.devnull, *said)):
        file = os.open(path, os.O_RDWR | os.O_CREAT)
        os.dup2(file, stream)
        os.close(file)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    sys.path[0:1] = [folder, *filter(None, environment.get("PYTHONPATH", "").split(os.pathsep))]
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    serve()
