"""`kedro run --pipeline=sweep` from several processes, with trials in a real PostgreSQL."""

import signal
import time

import numpy as np
import optuna
import pandas as pd
import pytest
from optuna.trial import TrialState

from tests.integration.conftest import CONFIG, Copy
from tests.integration.postgresql import free_port, running_server
from tests.pipelines.opened import opening

SWEEP = "--pipeline=sweep"
TRIALS, WORKERS, EPOCHS = 3, 2, 20
EPOCH_LOG = "epochs.txt"
SEARCH = """
      experiment: permutenet
      storage: {address}
      study: shared
      n_trials: 3
      heartbeat: 2
      searches:
        permutenet:
          settings:
            permutenet.cells: [{{network: gapnet, permutation: none, task: image}}]
            permutenet.only: []
            permutenet.shared.training.epochs: {epochs}
          seeds_per_trial: 1
          pruner: null
"""


@pytest.fixture(scope="module")
def server():
    with running_server() as running:
        yield running


def configured(copy: Copy, address: str, user: str, password: str, epochs: int = EPOCHS) -> Copy:
    """A copy that knows a server; `--env=test` does not read conf/local."""
    copy.configure(f"sweep:{SEARCH.format(address=address, epochs=epochs)}")
    credentials = f"environment: {{PGUSER: {user}, PGPASSWORD: {password}}}\n"
    (copy.root / "conf/test/credentials.yml").write_text(credentials)
    return copy


@pytest.fixture
def copy(project, server) -> Copy:
    """A copy that writes down which process trains which epoch of which network."""
    loop = project.root / "src/posinfo/networks/training/loop.py"
    saved = "        if checkpoint is not None:\n            save_checkpoint("
    assert loop.read_text().count(saved) == 1
    noted = f'        print(os.getpid(), checkpoint.name, epoch, file=open("{EPOCH_LOG}", "a"))\n'
    loop.write_text("import os\n" + loop.read_text().replace(saved, noted + saved))
    return project


def trained(copy: Copy) -> pd.DataFrame:
    file = copy.root / EPOCH_LOG
    text = file.read_text() if file.exists() else ""
    lines = [line.split() for line in text.splitlines(keepends=True) if line.endswith("\n")]
    return pd.DataFrame(lines, columns=["process", "network", "epoch"]).astype(
        {"process": int, "epoch": int}
    )


def test_two_processes_search_one_study_and_one_of_them_is_killed(copy, server, monkeypatch):
    address = server.database("shared")
    configured(copy, address, server.user, server.password)
    said = [copy.root / f"said-{number}.txt" for number in range(WORKERS)]
    killed, other = processes = [copy.start(SWEEP, CONFIG, said=file) for file in said]
    while trained(copy).process.tolist().count(killed.pid) < 3:
        assert [process.poll() for process in processes] == [None, None]
        time.sleep(0.05)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert other.wait(timeout=240) == 0, said[1].read_text()

    for name, value in server.credentials.items():
        monkeypatch.setenv(name, value)
    study = optuna.load_study(study_name="shared", storage=address)
    states = [trial.state.name for trial in study.trials]
    assert TRIALS <= states.count("COMPLETE") <= TRIALS + WORKERS - 1
    assert states.count("FAIL") == 1 and len(states) == states.count("COMPLETE") + 1
    (lost,) = [trial for trial in study.trials if trial.state.name == "FAIL"]
    (again,) = [t for t in study.trials if t.system_attrs.get("retry_history") == [lost.number]]
    assert lost.user_attrs["process"].split()[1] == str(killed.pid)
    assert again.state.name == "COMPLETE" and again.params == lost.params
    # every epoch once; but the one whose checkpoint was being written may have been trained again
    epochs = trained(copy)
    assert set(epochs.process) == {killed.pid, other.pid}
    assert epochs.groupby("network").epoch.nunique().tolist() == [EPOCHS] * states.count("COMPLETE")
    assert len(epochs) - EPOCHS * states.count("COMPLETE") in (0, 1)
    network = epochs[epochs.process == killed.pid].network.iloc[-1]
    first, then = (
        epochs[(epochs.network == network) & (epochs.process == process.pid)].epoch.tolist()
        for process in processes
    )
    assert first == list(range(1, len(first) + 1)) and len(first) >= 3
    assert then == list(range(then[0], EPOCHS + 1)) and then[0] - len(first) in (0, 1)

    table = pd.read_csv(copy.reports("sweep") / "trials.csv")
    assert table.trial.tolist() == list(range(len(table))) and set(table.state) == {"complete"}
    assert not table.duplicated([name for name in table if name.startswith("permutenet.")]).any()
    values = [trial.value for trial in study.get_trials(states=[TrialState.COMPLETE])]
    np.testing.assert_allclose(sorted(table.accuracy), sorted(values))
    best = pd.read_csv(copy.reports("sweep") / "best.csv")
    assert best.query("split == 'validation'").accuracy.max() == pytest.approx(study.best_value)

    secret = server.password.encode()
    files = [path for path in copy.root.rglob("*") if path.is_file() and not path.is_symlink()]
    assert {path.name for path in files} >= {"mlflow.db", "posinfo.log", "summary.md", "said-0.txt"}
    assert [path.name for path in files if secret in path.read_bytes()] == ["credentials.yml"]


def test_two_processes_make_one_study_of_an_empty_database(server, tmp_path):
    """At the same moment, three times."""
    addresses = [server.database(f"empty_{number}") for number in range(3)]
    files = [tmp_path / name for name in ("first", "second")]
    both = [opening(addresses, file, **server.credentials) for file in files]
    ended = [process.wait(timeout=200) for process in both]
    said = [file.read_text() for file in files]
    assert ended == [0, 0], said
    assert said[0] == said[1] and len(set(said[0].split())) == 1
    for address in addresses:
        storage = address.replace("//", f"//{server.user}:{server.password}@")
        (study,) = optuna.get_all_study_summaries(storage)
        assert study.study_name in said[0] and study.n_trials == 1  # the settings as they are


def test_database_that_cannot_be_used_is_named_without_a_password(project, server):
    there, nowhere = server.database("refused"), free_port()
    where = f"postgresql+psycopg://127.0.0.1:{nowhere}/refused"
    cases = {
        where: (server.password, f'"127.0.0.1", port {nowhere} failed: Connection refused'),
        there: (
            "wrong-and-secret",
            f'"127.0.0.1", port {server.port} failed: FATAL:  password authentication failed for '
            f'user "{server.user}"',
        ),
    }
    for address, (password, why) in cases.items():
        configured(project, address, server.user, password)
        result = project.run(SWEEP, CONFIG)
        assert result.returncode == 1
        (line,) = [line for line in result.stdout.splitlines() if " ERROR " in line]
        assert line.partition(" ERROR   ")[2] == (
            f"Optuna cannot use sweep.storage {address}: (psycopg.OperationalError) connection "
            f"failed: connection to server at {why}. Is the database running, and are user and "
            "password in PGUSER and PGPASSWORD? Trials that have ended are kept"
        )
        assert "Traceback" not in result.stdout + result.stderr
        log = (project.root / "posinfo.log").read_text()
        assert password not in result.stdout + result.stderr + log
