import logging
from types import SimpleNamespace

import pytest
from pydantic import ValidationError

from posinfo.networks.training.devices import Parallel
from posinfo.pipelines import ray_cluster, workers
from posinfo.pipelines.ray_cluster import load_ray, processes_that_fit, resources_of, room

ONE_CPU = {"CPU": 1.0, "memory": 1e9}


def asked(n_jobs, **settings):
    return Parallel.model_validate(
        {"n_jobs": n_jobs, "threads_per_job": 1, "backend": "ray", **settings}
    )


@pytest.fixture
def cluster(monkeypatch):
    """Nodes of a cluster: whether each is alive, and its resources."""

    monkeypatch.setattr(ray_cluster, "_SEEN", {})

    def believe(*nodes):
        known = [
            {"NodeID": str(number), "Alive": alive, "Resources": resources if alive else {}}
            for number, (alive, resources) in enumerate(nodes)
        ]
        monkeypatch.setattr(ray_cluster, "load_ray", lambda: SimpleNamespace(nodes=lambda: known))

    return believe


@pytest.mark.parametrize(
    ("nodes", "wanted", "expected"),
    [
        ([{"CPU": 1.0}, {"CPU": 1.0}], {"CPU": 1.0}, 2),
        ([{"CPU": 3.0}, {"CPU": 3.0}], {"CPU": 2.0}, 2),  # not three: none is spread over two nodes
        ([{"CPU": 1.0}] * 4, {"CPU": 2.0}, 0),
        ([{"CPU": 8.0, "GPU": 1.0}, {"CPU": 8.0}], {"CPU": 1.0, "GPU": 0.5}, 2),
        ([{"CPU": 8.0, "GPU": 1.0}], {"CPU": 1.0, "GPU": 0.1}, 8),
        ([{"CPU": 16.0, "GPU": 3.0}], {"CPU": 1.0, "GPU": 0.3}, 9),  # no part is of two GPUs
        ([{"CPU": 16.0, "GPU": 1.0}], {"CPU": 1.0, "GPU": 0.1}, 10),  # 1 / 0.1 in floating point
        ([{"memory": 1e9}], {"CPU": 1.0}, 0),
        ([], {"CPU": 1.0}, 0),
    ],
)
def test_room_counts_whole_processes_per_node(nodes, wanted, expected):
    assert room(nodes, wanted) == expected


def test_resources_are_threads_and_gpus():
    assert resources_of(asked(2)) == {"CPU": 1}
    assert resources_of(asked(2, threads_per_job=3, gpus_per_job=0.5)) == {"CPU": 3, "GPU": 0.5}
    alone = asked(2, threads_per_job=None)
    assert resources_of(alone) == {"CPU": alone.threads}


def test_whole_cluster_gives_what_is_asked_for(cluster, caplog):
    cluster((True, ONE_CPU), (True, ONE_CPU), (True, ONE_CPU))
    assert processes_that_fit(asked(2)) == 2
    assert processes_that_fit(asked(3)) == 3
    assert caplog.records == []


def test_more_than_the_cluster_ever_had_is_refused(cluster):
    cluster((True, ONE_CPU), (True, ONE_CPU))
    with pytest.raises(ValueError) as raised:
        processes_that_fit(asked(3))
    assert str(raised.value) == (
        "parallel.n_jobs asks for 3 processes of 1 CPU each; the Ray cluster has room for 2"
    )
    with pytest.raises(ValueError) as raised:
        processes_that_fit(asked(2, gpus_per_job=0.5))
    assert str(raised.value) == (
        "parallel.n_jobs asks for 2 processes of 1 CPU and 0.5 GPU each; the Ray cluster has room "
        "for 0"
    )


@pytest.mark.parametrize(
    ("alive", "said"), [(2, "2 processes go on"), (1, "this process goes on alone")]
)
def test_what_lost_nodes_have_left_goes_on(cluster, caplog, alive, said):
    cluster(*[(True, ONE_CPU)] * 3)
    assert processes_that_fit(asked(3)) == 3
    cluster(*((number < alive, ONE_CPU) for number in range(3)))
    with caplog.at_level(logging.WARNING):
        assert processes_that_fit(asked(3)) == alive
    assert caplog.messages == [f"the Ray cluster has lost nodes: {said}"]


def test_cluster_without_any_room_is_refused(cluster):
    cluster((True, {"memory": 1e9}), (True, ONE_CPU), (True, ONE_CPU))
    assert processes_that_fit(asked(2)) == 2
    cluster((True, {"memory": 1e9}), (False, {}), (False, ONE_CPU))
    with pytest.raises(ValueError, match="asks for 2 processes .* has room for 0$"):
        processes_that_fit(asked(2))


@pytest.fixture
def single(monkeypatch):
    """A cluster that is left with room for one process."""
    pytest.importorskip("ray")
    monkeypatch.setattr(workers, "connect", lambda parallel: load_ray())
    monkeypatch.setattr(workers, "processes_that_fit", lambda parallel: 1)


def test_package_that_a_node_lacks_is_named(single):
    def lacking():
        raise ModuleNotFoundError("No module named 'timm'", name="timm")

    with pytest.raises(ValueError) as raised:
        list(workers.spread({0: lacking}, asked(2)))
    assert str(raised.value) == (
        "a Ray worker has no package 'timm': install the same version of this project in the "
        "Python of every node"
    )


def test_room_for_one_process_is_this_process(single):
    told = []
    jobs = {number: lambda number=number: told.append(number) or number for number in (3, 5)}
    assert list(workers.spread(jobs, asked(2))) == [(3, 3), (5, 5)]
    assert told == [3, 5]


def test_single_job_of_ray_is_refused():
    with pytest.raises(ValidationError, match="parallel.backend ray needs n_jobs of 2 or more: "):
        asked(1)
