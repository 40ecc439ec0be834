import os
import socket
import subprocess
import sys
import time

import psutil
import pytest

from posinfo.pipelines.processes import CLOCK, is_dead, this_host, this_process


def test_this_process_lives():
    host, pid, began = this_process().split()
    assert (host, int(pid)) == (this_host(), os.getpid())
    assert host.split("/")[0] == socket.gethostname()
    assert float(began) == pytest.approx(psutil.Process().create_time(), abs=1)
    assert not is_dead(this_process())


# the last: a container or a copy of this machine, which has the same name
@pytest.mark.parametrize("name", ["", "elsewhere 1 0", "elsewhere", f"{socket.gethostname()} 1 0"])
def test_of_other_hosts_nothing_is_believed(name):
    assert not is_dead(name)


@pytest.mark.parametrize(("seconds", "dead"), [(CLOCK - 2, False), (CLOCK + 2, True)])
def test_later_process_of_the_same_number_is_another(seconds, dead):
    host, pid, began = this_process().split()
    assert is_dead(f"{host} {pid} {float(began) - seconds}") is dead


@pytest.mark.parametrize("asked_about", [True, False])
def test_killed_process_is_dead(asked_about):
    """Also one that its parent does not ask about, a zombie."""
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    found = psutil.Process(process.pid)
    name = f"{this_host()} {process.pid} {found.create_time():.0f}"
    assert not is_dead(name)
    process.kill()
    if asked_about:
        process.wait()
    until = time.monotonic() + 20
    while not is_dead(name) and time.monotonic() < until:
        time.sleep(0.01)
    assert is_dead(name)
    process.communicate()
