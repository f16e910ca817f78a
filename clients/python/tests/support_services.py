"""account_service.py as a process that a test kills and starts again."""

from __future__ import annotations

import socket
import threading
from pathlib import Path
from typing import Any, Optional

import grpc

from assent.details_pb2 import HealthRequest, HealthResponse

from support import Program, free_port, python_program, scratch_folder
from support_participants import Place

PROGRAM = Path(__file__).with_name("account_service.py")


def health_of(address: str, service: str = "", timeout: float = 60.0) -> int:
    with grpc.insecure_channel(address) as channel:
        check = channel.unary_unary(
            "/grpc.health.v1.Health/Check",
            request_serializer=HealthRequest.SerializeToString,
            response_deserializer=HealthResponse.FromString,
        )
        return check(HealthRequest(service=service), timeout=timeout, wait_for_ready=True).status


class AccountService:
    def __init__(self, place: Place, name: str = "account", balance: int = 1_000_000, cluster: Optional[str] = None):
        self.place = place
        self.name = name
        self.address = f"127.0.0.1:{free_port()}"
        self._cluster = cluster
        self._output = scratch_folder() / "service.log"
        place.execute(place.look, "CREATE TABLE account(balance BIGINT NOT NULL)")
        place.execute(place.look, f"INSERT INTO account VALUES({balance})")
        place.execute(
            place.look,
            "CREATE TABLE done(txn VARCHAR(32), branch VARCHAR(400), what VARCHAR(10), PRIMARY KEY(txn, branch, what))",
        )
        self.start()

    def start(self) -> None:
        command = python_program(str(PROGRAM), "--name", self.name, "--address", self.address)
        command += ["--barrier", self.place.opener()]  # type: ignore[attr-defined]
        if self._cluster:
            command += ["--cluster", self._cluster]
        self._program = Program(command, self._output)

    def wait_until_serving(self) -> None:
        try:
            health_of(self.address)
        except grpc.RpcError as error:
            raise RuntimeError(f"{self.name}: {error.details()}\n{self._program.said()}") from error

    def kill(self) -> None:
        self._program.kill()

    def restart(self) -> None:
        self.kill()
        self.start()
        self.wait_until_serving()

    def balance(self) -> int:
        return self.place.number("SELECT balance FROM account")

    def in_doubt(self) -> int:
        return self.place.number("SELECT count(*) FROM assent_branches WHERE state = 'prepared'")

    def done(self, what: str) -> int:
        return self.place.number(f"SELECT count(*) FROM done WHERE what = '{what}'")

    def __enter__(self) -> AccountService:
        return self

    def __exit__(self, *_: Any) -> None:
        self.kill()
        self.place.look.close()


class RestartHook:
    """What `assentctl conformance --restart-hook` runs: a shell that asks this process to restart the service."""

    def __init__(self, service: AccountService):
        self._service = service
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.restarts = 0
        self.command = f"bash -c 'exec 3<>/dev/tcp/127.0.0.1/{self._socket.getsockname()[1]}; read -r word <&3'"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                caller, _ = self._socket.accept()
            except OSError:
                return  # closed
            with caller:
                self._service.restart()
                self.restarts += 1
                caller.sendall(b"done\n")

    def __enter__(self) -> RestartHook:
        return self

    def __exit__(self, *_: Any) -> None:
        self._socket.close()
