"""Transaction ids: UUIDv7 as 32 lower-case hex digits."""

from __future__ import annotations

import os
import re
import time

_ID = re.compile(r"[0-9a-f]{32}\Z")


def new_txn_id() -> str:
    """A new id, of the current time and with randomness from the operating system. Safe from any thread."""
    millis = time.time_ns() // 1_000_000
    chance = int.from_bytes(os.urandom(10), "big")
    value = (millis & (1 << 48) - 1) << 80 | 0x7 << 76 | (chance >> 64 & 0xFFF) << 64
    value |= 0b10 << 62 | (chance & (1 << 62) - 1)
    return f"{value:032x}"


def is_txn_id(text: str) -> bool:
    """32 lower-case hex digits, not all of them zero."""
    return _ID.match(text) is not None and text.strip("0") != ""


def created_millis(txn_id: str) -> int:
    """When the id was made, in milliseconds since 1970."""
    return int(txn_id[:12], 16)
