"""Names of branches, coordinators and participants, and text as it may stand in a table, a log and an error."""

from __future__ import annotations

NAME_BYTES_MAX = 200
REFUSAL_BYTES_MAX = 100
MESSAGE_BYTES_MAX = 1000


def _is_control(character: str) -> bool:
    """C0 and DEL; C1 commands terminals as well."""
    return character < " " or "\x7f" <= character <= "\x9f"


def valid_name(text: str) -> bool:
    """At most NAME_BYTES_MAX bytes of UTF-8 without control characters. The empty text is one."""
    try:
        size = len(text.encode())
    except UnicodeEncodeError:  # half of a surrogate pair
        return False
    return size <= NAME_BYTES_MAX and not any(map(_is_control, text))


def tidy_text(text: str, bytes_max: int) -> str:
    """Control characters, and what is no UTF-8, become '?'; what is too long is cut, not inside a character."""
    clean = "".join("?" if _is_control(one) or "\ud800" <= one <= "\udfff" else one for one in text[:bytes_max])
    return clean.encode()[:bytes_max].decode(errors="ignore")
