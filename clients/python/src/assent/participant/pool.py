"""A few connections of a database server, taken and given back by many threads."""

from __future__ import annotations

import threading
from typing import Any, Callable, Optional

from .barrier import DatabaseError


class ConnectionPool:
    def __init__(self, most: int, patience: float, make: Callable[[], Any], close: Callable[[Any], None]):
        self._most = most
        self._patience = patience
        self._make = make
        self._close = close
        self._freed = threading.Condition()  # protects all below
        self._idle: list[Any] = []
        self._taken = 0
        self._closed = False

    def take(self) -> Any:
        with self._freed:
            if not self._freed.wait_for(lambda: self._closed or self._taken < self._most, self._patience):
                raise DatabaseError("all connections to the database were in use by other branches all the time")
            if self._closed:
                raise DatabaseError("the barrier is closed")
            self._taken += 1
            if self._idle:
                return self._idle.pop()
        try:
            return self._make()
        except BaseException:
            self.give_back(None)
            raise

    def give_back(self, connection: Optional[Any]) -> None:
        """None: it was not fit for use any more."""
        with self._freed:
            self._taken -= 1
            keep = connection is not None and not self._closed
            if keep:
                self._idle.append(connection)
            self._freed.notify()
        if connection is not None and not keep:
            self._close(connection)

    def close(self) -> None:
        with self._freed:
            self._closed = True
            idle, self._idle = self._idle, []
            self._freed.notify_all()
        for connection in idle:
            self._close(connection)
