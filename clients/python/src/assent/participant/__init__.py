"""What a service in Python needs to take part in transactions. See README.md, and docs/SERVICES.md for the rules."""

from .barrier import Barrier, BranchKey, DatabaseError, InDoubt
from .branches import Branches, Limits, Participant
from .host import ParticipantHost, Running
from .register import Attempt, Branch, Vote
from .resolver import Fate, Resolved, Resolver, ask_coordinator
from .sqlite import SqliteBarrier

__all__ = [
    *("Attempt", "Barrier", "Branch", "BranchKey", "Branches", "DatabaseError", "Fate", "InDoubt", "Limits"),
    *("MariadbBarrier", "Participant", "ParticipantHost", "PostgresBarrier", "Resolved", "Resolver", "Running"),
    *("SqliteBarrier", "Vote", "ask_coordinator"),
]


def __getattr__(name: str):
    """The others need a driver, which is asked for when they are."""
    if name == "PostgresBarrier":
        from .postgres import PostgresBarrier

        return PostgresBarrier
    if name == "MariadbBarrier":
        from .mariadb import MariadbBarrier

        return MariadbBarrier
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
