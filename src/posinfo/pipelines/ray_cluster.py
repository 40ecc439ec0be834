"""A Ray cluster: what it has room for, and pools of it that do not wait for dead nodes."""

import logging
import os
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

from posinfo.networks.training.devices import Parallel

LOOK = 1.0  # seconds between looks at the nodes while processes start

_SEEN: dict[str, dict[str, float]] = {}  # resources by node; Ray forgets those of dead ones

log = logging.getLogger(__name__)


class NodesLostError(RuntimeError):
    """The cluster no longer has room for processes that were to start."""


def load_ray() -> Any:
    """The package, with joblib's backend in it.

    Raises:
        ValueError: it is not installed.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray  # noqa: PLC0415 - an extra
        from ray.util.joblib import ray_backend, register_ray  # noqa: PLC0415
    except ImportError as error:
        said = "parallel.backend ray needs the package ray: pip install 'posinfo[ray]'"
        raise ValueError(said) from error
    register_ray()
    ray_backend.Pool = _pool()  # type: ignore[reportPrivateImportUsage]
    return ray


def resources_of(parallel: Parallel) -> dict[str, float]:
    """What Ray reserves for each process, by its own names."""
    gpus = {} if parallel.gpus_per_job is None else {"GPU": parallel.gpus_per_job}
    return {"CPU": float(parallel.threads), **gpus}


def arguments_of(wanted: Mapping[str, float]) -> dict[str, float]:
    """The same as arguments of ``ray.remote``."""
    return {f"num_{kind.lower()}s": amount for kind, amount in wanted.items()}


def connect(parallel: Parallel) -> None:
    """Join the cluster that ``RAY_ADDRESS`` names; without it, one of this machine is started."""
    ray = load_ray()
    if not ray.is_initialized():
        cpus = int(parallel.n_jobs * resources_of(parallel)["CPU"])
        local = {} if "RAY_ADDRESS" in os.environ else {"num_cpus": cpus}
        ray.init(log_to_driver=False, logging_level="ERROR", **local)


def processes_that_fit(parallel: Parallel) -> int:
    """How many processes the cluster can run at once, ``n_jobs`` or what lost nodes have left.

    Raises:
        ValueError: this process has never seen room for ``n_jobs``, or now there is none.
    """
    wanted = resources_of(parallel)
    _SEEN.update(_alive())
    ever, now = room(_SEEN.values(), wanted), room(_alive().values(), wanted)
    if now == 0 or ever < parallel.n_jobs:
        each = " and ".join(f"{amount:g} {kind}" for kind, amount in wanted.items())
        raise ValueError(
            f"parallel.n_jobs asks for {parallel.n_jobs} processes of {each} each; the Ray cluster "
            f"has room for {now}"
        )
    if now < parallel.n_jobs:
        left = f"{now} processes go on" if now > 1 else "this process goes on alone"
        log.warning("the Ray cluster has lost nodes: %s", left)
    return min(parallel.n_jobs, now)


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


def _alive() -> dict[str, dict[str, float]]:
    """Resources of the nodes that Ray believes in; it takes ten seconds to notice a dead one."""
    nodes = load_ray().nodes()
    return {node["NodeID"]: node["Resources"] for node in nodes if node["Alive"]}


@cache
def _pool() -> type:
    """Ray's pool, whose start would wait for ever for room that a node had that has died."""
    import ray  # noqa: PLC0415 - an extra
    from ray.util.multiprocessing import Pool  # noqa: PLC0415

    class WatchfulPool(Pool):
        def _start_actor_pool(self, processes: int) -> None:
            self._pool_actor = None
            self._actor_pool = [self._new_actor_entry() for _ in range(processes)]
            starting = [actor.ping.remote() for actor, _ in self._actor_pool]
            while starting:
                started, starting = ray.wait(starting, num_returns=len(starting), timeout=LOOK)
                ray.get(started)
                there = (arguments_of(node) for node in _alive().values())
                if starting and room(there, self._ray_remote_args) < processes:
                    for actor, _ in self._actor_pool:
                        ray.kill(actor)  # type: ignore[arg-type]
                    raise NodesLostError

    return WatchfulPool
