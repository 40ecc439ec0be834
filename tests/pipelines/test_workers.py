import os
import sys
import time
from functools import partial

import pytest
import torch
from joblib.externals.loky import get_reusable_executor
from joblib.externals.loky.process_executor import TerminatedWorkerError

from posinfo.networks.training.devices import Machine, Parallel
from posinfo.pipelines import workers
from posinfo.pipelines.workers import (
    WorkersLostError,
    is_loss,
    pin,
    require_processes,
    spread,
    visible_gpus,
)

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


def parallel(n_jobs=2, **values):
    return Parallel(n_jobs=n_jobs, threads_per_job=1, **values)


def square(value, folder=None):
    if folder is not None:
        (folder / f"{value}-{os.getpid()}-{time.monotonic_ns()}").touch()
    return value**2


def killed_once(folder):
    if not (folder / "killed").exists():
        (folder / "killed").touch()
        os.kill(os.getpid(), 9)
    return -1


def refused():
    raise ValueError("3 is too many")


def squares(folder=None, count=6):
    return {number: partial(square, number, folder) for number in range(count)}


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_every_process_gives_the_same_results(n_jobs):
    assert dict(spread(squares(), parallel(n_jobs))) == {n: n**2 for n in range(6)}


def test_this_process_computes_in_order():
    alone = parallel(1, backend="sequential")
    jobs = {number: partial(lambda n: (n, os.getpid()), number) for number in (3, 1, 2)}
    assert list(spread(jobs, alone)) == [(n, (n, os.getpid())) for n in (3, 1, 2)]


def test_other_processes_compute():
    jobs = dict.fromkeys(range(4), os.getpid)
    assert os.getpid() not in dict(spread(jobs, parallel())).values()


def test_workers_are_in_the_folder_of_the_project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    jobs = dict.fromkeys(range(2), os.getcwd)
    assert set(dict(spread(jobs, parallel())).values()) == {str(tmp_path)}


def test_processes_that_are_lost_too_often_end_the_run(monkeypatch):
    pools = []

    def lost(*_, **__):
        pools.append(1)
        raise TerminatedWorkerError("as loky says it")

    monkeypatch.setattr(workers.joblib, "Parallel", lost)  # test_runner kills real ones
    with pytest.raises(WorkersLostError, match=r"^a worker was lost 4 times: Terminated") as raised:
        list(spread({0: refused}, parallel()))
    assert is_loss(raised.value.__cause__)
    assert len(pools) == 4


def test_error_of_a_job_is_no_loss(tmp_path):
    with pytest.raises(ValueError, match=r"^3 is too many$"):
        list(spread({0: refused}, parallel()))


def test_error_of_ray_says_that_a_process_has_died():
    kind = type("RayActorError", (Exception,), {})
    assert is_loss(type("ActorDiedError", (kind,), {})())
    assert not is_loss(RuntimeError("RayActorError"))


def test_worker_without_the_folder_is_told(tmp_path, monkeypatch):
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    place = workers.Place.here(parallel())
    monkeypatch.chdir(tmp_path)
    folder.rmdir()
    with pytest.raises(FileNotFoundError) as raised:
        place.call(0, os.getpid)
    assert str(raised.value) == (
        f"the folder {folder} is not on {os.uname().nodename}: workers need the project's folder "
        "on storage that all hosts share"
    )


def test_workers_have_the_credentials_that_they_lack(monkeypatch):
    monkeypatch.setenv("PGUSER", "me")
    monkeypatch.setenv("PGPASSWORD", "secret")
    place = workers.Place.here(parallel())
    monkeypatch.delenv("PGUSER")
    monkeypatch.setenv("PGPASSWORD", "their own")
    place.call(0, os.getpid)
    assert (os.environ["PGUSER"], os.environ["PGPASSWORD"]) == ("me", "their own")


@pytest.fixture
def fresh_processes():
    """A process keeps its GPUs: those of this test are used by no other."""
    get_reusable_executor().shutdown(wait=True)
    yield
    get_reusable_executor().shutdown(wait=True)


def shown(folder):
    """What a process sees, when the other is at work, too."""
    (folder / str(os.getpid())).touch()
    until = time.monotonic() + 150
    while len(list(folder.iterdir())) < 2 and time.monotonic() < until:
        time.sleep(0.01)
    return os.getpid(), os.environ["CUDA_VISIBLE_DEVICES"]


@pytest.mark.usefixtures("fresh_processes")
def test_each_process_has_gpus_of_its_own(tmp_path, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5, GPU-a,7,MIG-b")
    asked = parallel(gpus_per_job=2)
    for time_asked in ("once", "again"):  # the same processes keep theirs
        (tmp_path / time_asked).mkdir()
        jobs = {number: partial(shown, tmp_path / time_asked) for number in range(6)}
        found = set(dict(spread(jobs, asked)).values())
        assert len(found) == 2 and {gpus for _, gpus in found} == {"5,GPU-a", "7,MIG-b"}
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "5, GPU-a,7,MIG-b"


def pinned_and_killed_once(folder):
    pin(["x0"], 1, folder.name)
    return killed_once(folder)


@pytest.mark.usefixtures("fresh_processes")
def test_what_a_lost_process_leaves_is_done_by_another_and_its_gpu_is_free(tmp_path):
    jobs = {99: partial(pinned_and_killed_once, tmp_path), **squares(tmp_path)}
    assert dict(spread(jobs, parallel())) == {99: -1, **{n: n**2 for n in range(6)}}
    calls = [int(path.name.split("-")[0]) for path in tmp_path.glob("*-*")]
    assert max(calls.count(number) for number in range(6)) <= 2


def test_too_few_free_gpus_are_refused_and_none_is_kept(monkeypatch, tmp_path):
    monkeypatch.setattr(workers, "_PINNED", [])
    monkeypatch.setattr(workers.tempfile, "gettempdir", lambda: str(tmp_path))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5,6")
    for _ in range(2):  # asked again, it is refused again
        with pytest.raises(RuntimeError, match=r"^3 of the GPUs 5, 6 are wanted; 2 free$"):
            pin(["5", "6"], 3, "run")
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "5,6"
    pin(["5", "6"], 1, "run")
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "5"
    pin(["5", "6"], 2, "run")  # it has some
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "5"
    workers._PINNED.pop().release()


@pytest.mark.parametrize(
    ("named", "gpus"),
    [("5, GPU-a", ["5", "GPU-a"]), ("", []), ("0", ["0"]), (None, ["0", "1", "2"])],
)
def test_gpus_of_this_machine(monkeypatch, named, gpus):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if named is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", named)
    assert visible_gpus() == gpus


def machine(device, **values):
    return Machine(torch.device(device), torch.float32, parallel(**values))


def message(device, **values):
    with pytest.raises(ValueError) as raised:
        require_processes(machine(device, **values))
    return str(raised.value)


def test_gpus_that_there_are_not_are_refused(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1,2")
    require_processes(machine("cuda", n_jobs=3, gpus_per_job=1))
    require_processes(machine("cuda", n_jobs=9))
    assert message("cuda", gpus_per_job=2) == (
        "2 processes of 2 GPUs each need 4; this machine shows 3"
    )


@pytest.mark.parametrize("device", ["cpu", "cuda:1"])
def test_gpus_of_processes_need_the_device_without_a_number(device):
    assert message(device, gpus_per_job=1) == (
        "parallel.gpus_per_job gives each process a GPU: it needs the device `cuda` without a "
        f"number; got {device}"
    )


def test_ray_needs_its_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    expected = "parallel.backend ray needs the package ray: pip install 'posinfo[ray]'"
    assert message("cpu", backend="ray") == expected
    with pytest.raises(ValueError) as raised:
        list(spread(squares(), parallel(backend="ray")))
    assert str(raised.value) == expected


def test_ray_hides_gpus_that_it_was_not_asked_for(monkeypatch):
    monkeypatch.setattr(workers, "load_ray", lambda: None)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert message("cuda", backend="ray") == (
        "Ray hides all GPUs from a process without parallel.gpus_per_job"
    )
    require_processes(machine("cpu", backend="ray"))
    require_processes(machine("cuda", backend="ray", gpus_per_job=0.5))  # of the cluster
