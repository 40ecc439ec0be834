"""A Ray cluster: what it has room for, and which of its nodes are still there."""

import logging
import os
from collections.abc import Iterable, Mapping
from typing import Any

from posinfo.networks.training.devices import Parallel

ANSWER = 60  # seconds for a node to start a worker, or for Ray to notice that the node is dead

_SEEN: dict[str, dict[str, float]] = {}  # resources by node; Ray forgets those of dead ones

log = logging.getLogger(__name__)


def load_ray() -> Any:
    """The package, with joblib's backend in it.

    Raises:
        ValueError: it is not installed.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray  # noqa: PLC0415 - an extra
        from ray.util.joblib import register_ray  # noqa: PLC0415
    except ImportError as error:
        said = "parallel.backend ray needs the package ray: pip install 'posinfo[ray]'"
        raise ValueError(said) from error
    register_ray()
    return ray


def resources_of(parallel: Parallel) -> dict[str, float]:
    """What Ray reserves for each process, by its own names."""
    gpus = {} if parallel.gpus_per_job is None else {"GPU": parallel.gpus_per_job}
    return {"CPU": float(parallel.threads), **gpus}


def connect(parallel: Parallel) -> None:
    """Join the cluster that ``RAY_ADDRESS`` names; without it, one of this machine is started."""
    ray = load_ray()
    if not ray.is_initialized():
        cpus = int(parallel.n_jobs * resources_of(parallel)["CPU"])
        local = {} if "RAY_ADDRESS" in os.environ else {"num_cpus": cpus}
        ray.init(log_to_driver=False, logging_level="ERROR", **local)


def processes_that_fit(parallel: Parallel, after_a_loss: bool) -> int:
    """How many processes the cluster can run at once, ``n_jobs`` or what lost nodes have left.

    Ray would wait for ever for room that there is not, and it believes in a dead node for some ten
    seconds. So after a loss each node is asked for an answer.

    Args:
        parallel: what is asked for.
        after_a_loss: whether a worker has just been lost.

    Raises:
        ValueError: this process has never seen room for ``n_jobs``, or now there is none.
    """
    wanted = resources_of(parallel)
    alive = [node for node in load_ray().nodes() if node["Alive"]]
    _SEEN.update({node["NodeID"]: node["Resources"] for node in alive})
    ever = room(_SEEN.values(), wanted)
    if after_a_loss:
        alive = [node for node in alive if _answers(node["NodeID"])]
    now = min(parallel.n_jobs, room((node["Resources"] for node in alive), wanted))
    if now == 0 or ever < parallel.n_jobs:
        each = " and ".join(f"{amount:g} {kind}" for kind, amount in wanted.items())
        raise ValueError(
            f"parallel.n_jobs asks for {parallel.n_jobs} processes of {each} each; the Ray cluster "
            f"has room for {now}"
        )
    if now < parallel.n_jobs:
        left = f"{now} processes go on" if now > 1 else "this process goes on alone"
        log.warning("the Ray cluster has lost nodes: %s", left)
    return now


def room(nodes: Iterable[Mapping[str, float]], wanted: Mapping[str, float]) -> int:
    """How many processes fit on nodes with these resources; none is spread over two nodes."""
    return sum(
        min(_fitting(node.get(kind, 0), amount) for kind, amount in wanted.items())
        for node in nodes
    )


def _fitting(there: int | float, amount: int | float) -> int:
    """Parts of one GPU are parts of the same: two of .6 do not fit on two halves."""
    if amount < 1:
        return int(there) * int(1 / amount + 1e-6)
    return int(there / amount + 1e-6)


def _answers(node: str) -> bool:
    ray = load_ray()
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy  # noqa: PLC0415

    there = NodeAffinitySchedulingStrategy(node_id=node, soft=False)
    asked = ray.remote(num_cpus=0, max_retries=0, scheduling_strategy=there)(_host).remote()
    try:
        ray.get(asked, timeout=ANSWER)
    except ray.exceptions.RayError:
        return False
    return True


def _host() -> str:
    return os.uname().nodename
