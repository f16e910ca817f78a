"""What the client knows of the cluster: endpoints, which node each is, which groups there are and who leads them.

Learned from Status answers and NOT_LEADER hints, judged by what failed. Not a cache with a lifetime: an entry is
believed until an answer contradicts it. Makes no call. Safe from any thread.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Optional

from .errors import AssentError, NoLeaderError, NotFoundError, Tried, UnreachableError
from .v1 import assent_pb2 as pb


@dataclass(frozen=True)
class Target:
    group: str
    node: str
    endpoint: str


@dataclass
class _Place:
    node: str = ""  # empty until it told
    trouble: str = ""  # empty: it answered last time it was asked
    asked: bool = False
    said: str = ""


@dataclass
class _Group:
    role: str = ""
    leader: str = ""
    epoch: int = 0
    carriers: set[str] = field(default_factory=set)  # nodes that told that they carry it


class Directory:
    def __init__(self, seeds: list[str]):
        self._lock = threading.Lock()  # protects all below
        self._places: dict[str, _Place] = {seed: _Place() for seed in seeds}  # by endpoint, in the order learned
        self._addresses: dict[str, str] = {}  # node to the endpoint that is used for it
        self._groups: dict[str, _Group] = {}

    def endpoints(self) -> list[str]:
        with self._lock:
            return list(self._places)

    def leader(self, group: str) -> Optional[Target]:
        """The believed one, unless its endpoint failed since it last answered."""
        with self._lock:
            known = self._groups.get(group)
            endpoint = self._healthy_leader(known) if known else None
            return Target(group, known.leader, endpoint) if known and endpoint else None

    def replicas(self, group: str) -> list[Target]:
        """Those that told that they carry the group, whose endpoints did not fail since they last answered."""
        with self._lock:
            known = self._groups.get(group)
            found = [(node, self._addresses.get(node, "")) for node in sorted(known.carriers)] if known else []
            return [Target(group, node, endpoint) for node, endpoint in found if self._healthy(endpoint)]

    def all_led(self) -> bool:
        with self._lock:
            return bool(self._groups) and all(self._healthy_leader(group) for group in self._groups.values())

    def named(self, role: str) -> list[str]:
        with self._lock:
            return sorted(name for name, group in self._groups.items() if group.role == role)

    def failing(self, endpoint: str) -> bool:
        with self._lock:
            return not self._healthy(endpoint)

    def lacks(self, group: str) -> bool:
        """Every endpoint answered and none has the group (empty: a coordinator group)."""
        with self._lock:
            return self._missing(group)

    # ---- learning ----

    def answered(self, endpoint: str, status: pb.StatusResponse) -> None:
        with self._lock:
            here = self._places.setdefault(endpoint, _Place())
            here.node, here.asked, here.trouble, here.said = status.node, True, "", "answers"
            self._addresses[status.node] = endpoint  # what worked from here beats what the node says of itself
            for node in status.nodes:
                self._introduce(node.name, node.client_endpoint)
            for group in self._groups.values():
                group.carriers.discard(status.node)
            for replica in status.replicas:
                self._learn(status.node, replica)
                self._groups[replica.group].carriers.add(status.node)

    def failed(self, endpoint: str, why: str) -> None:
        with self._lock:
            here = self._places.setdefault(endpoint, _Place())
            here.asked, here.trouble, here.said = True, why or "failed without a word", why

    def not_leading(self, target: Target, hint: dict[str, str]) -> bool:
        """The target said that it does not lead. True when the hint names somebody else who is not known to fail."""
        with self._lock:
            name = hint.get("group") or target.group
            leader = hint.get("leader", "")
            here = self._places.setdefault(target.endpoint, _Place())
            here.said = f"does not lead {name} and knows no leader"
            if leader:
                here.said = f"says that {name} is led by {leader}"
            group = self._groups.setdefault(name, _Group())
            if not leader or leader == target.node:
                if group.leader == target.node:
                    group.leader = ""
                return False
            self._introduce(leader, hint.get("endpoint", ""))
            group.leader = leader
            return self._healthy_leader(group) is not None

    # ---- telling ----

    def nobody(self, group: str) -> AssentError:
        """Why there is nobody to ask for the group (empty: for a coordinator)."""
        with self._lock:
            tried = [Tried(e, p.node, p.said if p.asked else "was not asked") for e, p in self._places.items()]
            what = f"group {group}" if group else "coordinator group"
            if not any(place.asked and not place.trouble for place in self._places.values()):
                return UnreachableError(
                    "no endpoint answers; check the endpoints (ASSENT_ENDPOINTS) and that the nodes run", tried=tried
                )
            if self._missing(group):
                return NotFoundError(f"there is no {what} here; the groups are: {', '.join(sorted(self._groups))}")
            message = f"{what} has no leader that answers; a leader needs a majority of the members"
            return NoLeaderError(message, tried=tried)

    # ---- with the lock held ----

    def _introduce(self, node: str, endpoint: str) -> None:
        if node and endpoint and node not in self._addresses:
            self._places.setdefault(endpoint, _Place()).node = node
            self._addresses[node] = endpoint

    def _learn(self, node: str, replica: pb.Replica) -> None:
        group = self._groups.setdefault(replica.group, _Group())
        group.role = replica.role
        if replica.epoch < group.epoch:
            return  # a view of the past
        newer = replica.epoch > group.epoch
        group.epoch = replica.epoch
        if replica.leads:
            group.leader = node
        elif newer or not group.leader or (group.leader == node and replica.leader != node):
            group.leader = replica.leader

    def _healthy(self, endpoint: str) -> bool:
        place = self._places.get(endpoint)
        return place is not None and not place.trouble

    def _healthy_leader(self, group: _Group) -> Optional[str]:
        endpoint = self._addresses.get(group.leader)
        return endpoint if endpoint and self._healthy(endpoint) else None

    def _missing(self, group: str) -> bool:
        known = group in self._groups if group else any(one.role == "coordinator" for one in self._groups.values())
        return not known and all(place.asked and not place.trouble for place in self._places.values())
