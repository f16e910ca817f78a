"""Real processes for the tests: an Assent cluster, database servers, programs of ours. All on free ports, in folders of
their own, ended by the test that started them.

The environment says where the programs of the build are: ASSENTD, ASSENTCTL.
"""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Callable, Optional

import assent

ASSENTD = os.environ.get("ASSENTD", "")
ASSENTCTL = os.environ.get("ASSENTCTL", "")
NODES = ("n1", "n2", "n3")


def eventually(condition: Callable[[], object], at_most: float = 30.0) -> bool:
    end = time.monotonic() + at_most
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.02)
    return bool(condition())


def free_port() -> int:
    """A port that nobody listens on, and no other test gets while this process lives (tests/local.h has the same rule)."""
    folder = Path(f"/tmp/assent-test-ports-{os.getuid()}")
    folder.mkdir(mode=0o700, exist_ok=True)
    for i in range(10_000):
        port = 10_000 + (os.getpid() * 37 + i) % 10_000
        lock = os.open(folder / str(port), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", port))
            return port  # the lock stays open
        except OSError:
            os.close(lock)
    raise RuntimeError("no free port from 10000 to 19999")


def scratch_folder() -> Path:
    """Removed when the program ends."""
    folder = Path(tempfile.mkdtemp(prefix="assent-python-", dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


class Program:
    """A child process that is ended with this one, and whose output is kept."""

    def __init__(self, command: list[str], output: Path, **options):
        self.output = output
        with output.open("ab") as out:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, **options
            )
        atexit.register(self.kill)

    def kill(self, number: int = signal.SIGKILL) -> None:
        if self.process.poll() is None:
            self.process.send_signal(number)
        self.process.wait()

    def pause(self) -> None:
        """Returns when every thread of it has stopped: until then some go on."""
        self.process.send_signal(signal.SIGSTOP)
        tasks = Path(f"/proc/{self.process.pid}/task")

        def stopped(task: Path) -> bool:
            return (task / "stat").read_text().rpartition(")")[2].split()[0] == "T"

        if not eventually(lambda: all(map(stopped, tasks.iterdir()))):
            raise RuntimeError(f"process {self.process.pid} does not stop")

    def resume(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def running(self) -> bool:
        return self.process.poll() is None

    def said(self) -> str:
        return self.output.read_text(errors="replace")


class Cluster:
    """Three nodes with coordinator c0 and shards s1 and s2."""

    def __init__(self) -> None:
        self.folder = scratch_folder()
        self.clients = {node: f"127.0.0.1:{free_port()}" for node in NODES}
        peers = {node: f"127.0.0.1:{free_port()}" for node in NODES}
        for node in NODES:
            (self.folder / f"{node}.yaml").write_text(self._configuration(node, peers))
        self.nodes: dict[str, Program] = {}
        for node in NODES:
            self.start(node)

    def _configuration(self, node: str, peers: dict[str, str]) -> str:
        def listed(addresses: dict[str, str]) -> str:
            return "{ " + ", ".join(f'{name}: "{address}"' for name, address in addresses.items()) + " }"

        groups = [("c0", "coordinator"), ("s1", "shard"), ("s2", "shard")]
        return "\n".join(
            [
                f'node: {{ name: {node}, data_dir: "{self.folder}/{node}" }}',
                f"listen: {{ client: {self.clients[node]}, peer: {peers[node]} }}",
                "cluster:",
                "  name: python",
                f"  peers: {listed(peers)}",
                f"  clients: {listed(self.clients)}",
                "  groups:",
                *(f"    - {{ id: {name}, role: {role}, members: [n1, n2, n3] }}" for name, role in groups),
            ]
        )

    @property
    def endpoints(self) -> str:
        return ",".join(self.clients.values())

    def start(self, node: str) -> None:
        command = [ASSENTD, "start", "--config", str(self.folder / f"{node}.yaml")]
        self.nodes[node] = Program(command, self.folder / f"{node}.log")

    def kill(self, node: str) -> None:
        self.nodes[node].kill()

    def stop(self) -> None:
        for program in self.nodes.values():
            program.kill()

    def leader_of(self, group: str) -> str:
        """The node's name, from what the client library finds."""
        with assent.connect(self.endpoints) as client:
            target = client._drive(client._courier.find_leader(group, time.monotonic() + 30))
            return target.node

    def wait_until_ready(self) -> None:
        with assent.connect(self.endpoints) as client:
            for shard in ("s1", "s2"):
                client.query(shard, "SELECT 1", timeout=60)


def run(command: list[str], at_most: float = 60.0) -> subprocess.CompletedProcess:
    return subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=at_most, check=False
    )


def python_program(*arguments: str) -> list[str]:
    return [sys.executable, *arguments]


class DatabaseServer:
    """A database server in a folder of its own, as the unprivileged user that it demands when we are root."""

    def __init__(self, user: str, prepare: str, serve: str):
        self.folder = scratch_folder()
        self.port = free_port()
        # A MariaDB server that starts removes the temporary tables in TMPDIR, also those of another one that runs.
        script = f"cd {self.folder}; export TMPDIR={self.folder}; dir={self.folder}/data; port={self.port}; {prepare} || exit 1; exec {serve}"
        become = []
        if os.getuid() == 0:
            self.folder.chmod(0o777)
            become = ["--reuid", user, "--regid", user, "--init-groups"]
        command = ["setpriv", *become, "--pdeathsig", "QUIT", "sh", "-c", script]
        self._program = Program(command, self.folder / "log")
        atexit.register(self.stop)  # before it is killed: PostgreSQL takes its shared memory away

    def stop(self) -> None:
        self._program.kill(signal.SIGQUIT)

    def wait_for(self, connect: Callable[[], object]) -> None:
        """Until one can connect."""
        last: Optional[Exception] = None

        def there() -> bool:
            nonlocal last
            if not self._program.running():
                raise RuntimeError("the database server ended: " + self._program.said())
            try:
                with contextlib.closing(connect()):  # type: ignore[type-var]
                    return True
            except Exception as error:  # noqa: BLE001 - whatever the driver raises while the server is starting
                last = error
                return False

        if not eventually(there, 90):
            raise RuntimeError(f"{last}\n{self._program.said()}")
