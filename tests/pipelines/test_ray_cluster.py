import logging
from types import SimpleNamespace

import pytest

from posinfo.networks.training.devices import Parallel
from posinfo.pipelines import ray_cluster
from posinfo.pipelines.ray_cluster import processes_that_fit, resources_of, room


def parallel(n_jobs=4, threads=2, gpus=None):
    return Parallel(n_jobs=n_jobs, threads_per_job=threads, backend="ray", gpus_per_job=gpus)


@pytest.fixture
def cluster(monkeypatch):
    """A cluster of nodes with so many CPUs and GPUs, of which some have died."""

    def of(*nodes):
        listed = [
            {"NodeID": str(n), "Alive": alive, "Resources": {"CPU": cpus, "GPU": gpus}}
            for n, (cpus, gpus, alive) in enumerate(nodes)
        ]
        ray = SimpleNamespace(nodes=lambda: listed)
        monkeypatch.setattr(ray_cluster, "load_ray", lambda: ray)

    return of


@pytest.mark.parametrize(
    ("asked", "resources"),
    [
        (parallel(), {"CPU": 2}),
        (parallel(threads=None), {"CPU": 1}),
        (parallel(gpus=0.25), {"CPU": 2, "GPU": 0.25}),
    ],
)
def test_each_process_reserves_its_threads_and_gpus(asked, resources):
    assert resources_of(asked) == resources


@pytest.mark.parametrize(
    ("nodes", "wanted", "count"),
    [
        ([{"CPU": 3.0}, {"CPU": 3.0}], {"CPU": 2.0}, 2),  # not 3: none is spread over two nodes
        ([{"CPU": 8.0, "GPU": 1.0}], {"CPU": 1.0, "GPU": 0.1}, 8),
        ([{"CPU": 8.0, "GPU": 0.3}], {"CPU": 1.0, "GPU": 0.1}, 3),  # 0.3 / 0.1 is below 3
        ([{"CPU": 8.0}], {"CPU": 1.0, "GPU": 0.5}, 0),
        ([], {"CPU": 1.0}, 0),
    ],
)
def test_room_is_counted_node_by_node(nodes, wanted, count):
    assert room(nodes, wanted) == count


def test_cluster_that_is_too_small_is_refused(cluster):
    cluster((7.0, 1.0, True))
    with pytest.raises(ValueError) as raised:
        processes_that_fit(parallel(gpus=0.25), after_a_loss=False)
    assert str(raised.value) == (
        "parallel.n_jobs asks for 4 processes of 2 CPU and 0.25 GPU each; the Ray cluster has room "
        "for 3"
    )
    cluster((8.0, 1.0, True))
    assert processes_that_fit(parallel(gpus=0.25), after_a_loss=False) == 4


def test_what_is_left_of_a_cluster_goes_on(cluster, caplog, monkeypatch):
    cluster((4.0, 0.0, True), (4.0, 0.0, False))
    with caplog.at_level(logging.WARNING):
        assert processes_that_fit(parallel(), after_a_loss=False) == 2
    assert caplog.messages == ["the Ray cluster has lost nodes: 2 processes go on"]
    monkeypatch.setattr(ray_cluster, "_answers", lambda node: False)
    with pytest.raises(ValueError, match="the Ray cluster has room for 0$"):
        processes_that_fit(parallel(), after_a_loss=True)
