"""Where Optuna keeps a study: made once by whoever comes first, rid of what the dead have left."""

import json
import logging
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import Any
from zlib import crc32

import optuna
import sqlalchemy
from filelock import FileLock
from optuna.exceptions import StorageInternalError
from optuna.storages import RDBStorage, RetryHeartbeatStaleTrialCallback
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from posinfo.pipelines.processes import is_dead
from posinfo.pipelines.sweep_settings import Sweep
from posinfo.plan import differences
from posinfo.writing import UnwritableError

DEFINITION, PROCESS, ERROR, STARTED = "definition", "process", "error", "started"
UNWRITABLE = "unwritable"  # of a trial that a full disk or a lost database has ended
LOCKED = 60  # seconds to wait for another process that writes into the database
AWAY = (SQLAlchemyError, StorageInternalError)  # what a database that cannot be used raises
MOST_LOSSES = 3  # repetitions of a trial whose process was lost

# trials are in the log as lines of ours; of one that fails, Optuna would show a traceback
optuna.logging.set_verbosity(optuna.logging.ERROR)
log = logging.getLogger(__name__)


def open_study(sweep: Sweep) -> Study:
    """The study of a sweep, which is made if there is none.

    Raises:
        ValueError: the database cannot be reached, or the study is another search's.
    """
    settings = sweep.settings
    with reachable(settings.storage, ImportError), locked(settings.storage):
        return _study(sweep, open_storage(settings.storage, settings.heartbeat))


@contextmanager
def reachable(address: str, *more: type[Exception]) -> Iterator[None]:
    """A block that uses a storage.

    Args:
        address: of the storage.
        more: errors besides those of a database that say that it cannot be used.

    Raises:
        ValueError: it could not be used; the message says what to look at.
    """
    try:
        yield
    except (*AWAY, *more) as error:
        asked = "Is the database running, and are user and password in PGUSER and PGPASSWORD?"
        if address.startswith("sqlite"):
            asked = "Is it a study's file, can it be written, is the disk full?"
        raise ValueError(
            f"Optuna cannot use sweep.storage {address}: {database_error(error) or error}. {asked} "
            "Trials that have ended are kept"
        ) from error


@contextmanager
def written() -> Iterator[None]:
    """A block of a trial that writes into the study.

    Raises:
        UnwritableError: the database is away or full, which is not the trial's fault.
    """
    try:
        yield
    except AWAY as error:
        raise UnwritableError(f"the study cannot be written: {database_error(error)}") from error


def database_error(error: BaseException | None) -> str:
    """What a database has said, from which an error comes, in a line; empty: it comes from none.

    Optuna's own words are the same for all errors of its database.
    """
    said = ""
    while error is not None and not isinstance(error, SQLAlchemyError):
        if isinstance(error, StorageInternalError):
            said = str(error)
        error = error.__cause__ or error.__context__
    return str(error or said).strip().partition("\n")[0]


class _Storage(RDBStorage):
    def record_heartbeat(self, trial_id: int) -> None:
        """In a thread of Optuna's, which an error would end, with a traceback on the terminal."""
        try:
            super().record_heartbeat(trial_id)
        except AWAY as error:
            log.debug("no sign of life of a trial: %s", database_error(error))


@lru_cache(maxsize=4)
def open_storage(address: str, heartbeat: int) -> RDBStorage:
    """The storage at an address, whose tables are made if there are none.

    Args:
        address: of SQLAlchemy's.
        heartbeat: seconds between signs of life of running trials.
    """
    sqlite = address.startswith("sqlite")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return _Storage(
            address,
            engine_kwargs={"connect_args": {"timeout": LOCKED}}
            if sqlite
            else {"pool_pre_ping": True},
            heartbeat_interval=heartbeat,
        )


@contextmanager
def locked(address: str, what: str = "trials") -> Iterator[None]:
    """One process of all that use a storage at a time; a database frees the lock of a dead one.

    Args:
        address: of the storage.
        what: is done meanwhile; one process may do each of several things.
    """
    url = make_url(address)
    if url.drivername == "sqlite":
        file = Path(url.database or "")
        file.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{file}.{what}.lock", timeout=-1):
            yield
        return
    # a transaction that is idle for long may be ended by the server, and the lock with it
    engine = sqlalchemy.create_engine(url, isolation_level="AUTOCOMMIT")
    number = crc32(f"posinfo sweep {what}".encode())
    try:
        with engine.connect() as connection:
            connection.execute(sqlalchemy.text(f"SELECT pg_advisory_lock({number})"))
            yield
    finally:
        engine.dispose()  # the lock is the connection's


def _study(sweep: Sweep, storage: RDBStorage) -> Study:
    definition = sweep.definition
    known = {study.study_name for study in optuna.get_all_study_summaries(storage, False)}
    if sweep.study in known:
        study = optuna.load_study(study_name=sweep.study, storage=storage)
        trials = study.get_trials(deepcopy=False)
        other = len(study.directions) != len(sweep.settings.search.objectives)
        begun = DEFINITION in study.user_attrs or ended(trials) or other
        if begun:
            said = json.loads(study.user_attrs.get(DEFINITION, "{}"))
            _require_same(sweep.study, said, definition)
            return study
    else:
        directions = [StudyDirection[o.direction.upper()] for o in sweep.settings.search.objectives]
        study = optuna.create_study(storage=storage, study_name=sweep.study, directions=directions)
    if not study.get_trials(deepcopy=False) and (start := sweep.start()) is not None:
        study.enqueue_trial(start, user_attrs={STARTED: "the settings as they are"})
    study.set_user_attr(DEFINITION, json.dumps(definition))  # last: from now on it is begun
    return study


def _require_same(name: str, known: Mapping[str, Any], asked: Mapping[str, Any]) -> None:
    other = differences(known, asked)
    if other:
        what = "is of another search" if known else "was not made by a sweep of this project"
        raise ValueError(
            f"the study {name!r} {what} ({', '.join(other[:6])}): name a new one with sweep.study, "
            "or search what was searched, with the code and packages of then"
        )


def ended(trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    """Trials that count: complete, pruned, failed by an error, or lost too often to go on."""
    return [
        trial
        for trial in trials
        if trial.state.is_finished()
        and not (_is_lost(trial) and (_is_repeated(trial, trials) or _goes_on(trial, trials)))
    ]


def take_up(study: Study, address: str) -> list[FrozenTrial]:
    """Queue again what was lost with its process: killed here, interrupted, or silent elsewhere.

    Returns:
        The trials that are running or waiting now.
    """
    with locked(address), warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        for trial in study.get_trials(deepcopy=False):
            if trial.state == TrialState.RUNNING and is_dead(trial.user_attrs.get(PROCESS, "")):
                give_up(study, trial)
        optuna.storages.fail_stale_trials(study)
        trials = study.get_trials()
        retry = RetryHeartbeatStaleTrialCallback(inherit_intermediate_values=True)
        for trial in trials:
            if _is_lost(trial) and not _is_repeated(trial, trials) and _goes_on(trial, trials):
                log.info("trial %d was interrupted: it is queued again", number_of(trial, trials))
                own = {PROCESS, UNWRITABLE}
                trial.user_attrs = {n: v for n, v in trial.user_attrs.items() if n not in own}
                retry(study, trial)
        return [each for each in study.get_trials(deepcopy=False) if not each.state.is_finished()]


def give_up(study: Study, trial: FrozenTrial) -> None:
    """End a trial whose process is gone, unless another process has just done so."""
    with suppress(ValueError):  # Optuna's, of a trial that has ended
        study.tell(trial.number, state=TrialState.FAIL)


def fail_unborn(
    study: Study, others: Sequence[FrozenTrial], since: dict[int, float], heartbeat: int
) -> None:
    """End trials whose process died before it gave a name or a sign of life.

    Only time that passes here counts: clocks of other hosts may be wrong.
    """
    for trial in others:
        begun = since.setdefault(trial.number, time.monotonic())
        if PROCESS not in trial.user_attrs and time.monotonic() - begun > 2 * heartbeat:
            give_up(study, trial)


def number_of(trial: FrozenTrial, trials: Sequence[FrozenTrial]) -> int:
    """That which a trial would have if no process had been lost.

    Args:
        trial: one of a study; a repetition has the number of what it repeats.
        trials: all of the study.
    """
    first = trial.system_attrs.get("failed_trial", trial.number)
    repeats = sum(t.number < first for t in trials if "failed_trial" in t.system_attrs)
    return first - repeats


def _is_lost(trial: FrozenTrial) -> bool:
    """Whether a trial has ended with its process and not by what it computed."""
    return trial.state == TrialState.FAIL and ERROR not in trial.user_attrs


def _is_repeated(trial: FrozenTrial, trials: Sequence[FrozenTrial]) -> bool:
    return any(trial.number in each.system_attrs.get("retry_history", ()) for each in trials)


def _goes_on(trial: FrozenTrial, trials: Sequence[FrozenTrial]) -> bool:
    """Whether a lost trial is begun again; a full disk does not count."""
    history = trial.system_attrs.get("retry_history", ())
    losses = sum(UNWRITABLE not in trials[number].user_attrs for number in history)
    return losses < MOST_LOSSES
