"""Processes by name, in what outlives them: databases, tags. Of other hosts nothing is believed."""

import os
import socket
from pathlib import Path

import psutil

CLOCK = 60  # seconds by which the start of one process may seem to move


def this_host() -> str:
    """The host's name, this start of it and, in a container, whose numbers of processes these are.

    Containers and copies of a machine may share a name.
    """
    boot, space = Path("/proc/sys/kernel/random/boot_id"), Path("/proc/self/ns/pid")
    parts = [socket.gethostname()]
    if boot.is_file():
        parts += [boot.read_text()[:8], str(space.stat().st_ino)]
    return "/".join(parts)


def this_process() -> str:
    """Host, number and start; a later process of the same number began at another time."""
    pid = os.getpid()
    return f"{this_host()} {pid} {psutil.Process(pid).create_time():.0f}"


def is_dead(process: str) -> bool:
    """Whether a name of ``this_process`` is that of a process of this host that is no more."""
    host, _, rest = process.partition(" ")
    if host != this_host():
        return False
    pid, _, began = rest.partition(" ")
    try:
        found = psutil.Process(int(pid))
        ended = found.status() == psutil.STATUS_ZOMBIE  # that nobody has asked about, as in Docker
        return ended or abs(found.create_time() - float(began)) > CLOCK
    except psutil.NoSuchProcess:
        return True
