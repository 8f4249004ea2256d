"""Ids of audit entries: they begin with a time, in milliseconds, and end with what tells entries apart.

The log is kept in parts, one a month, and an id alone must be refused when it comes again. So the part
follows from the id and from nothing else: the same id always meets the same primary key. An id that begins
with no sensible time is kept too, in a part of its own.

Source: our choice, decision 25
"""

from uuid import UUID

TIME_BYTES = 6
TAIL_BYTES = 10
_TIMES = 1 << 8 * TIME_BYTES


def timed_id(at_ms: int, tail: bytes) -> UUID:
    """Join a time, cut to 48 bits because it is anybody's claim, and the first ten bytes of `tail`."""
    return UUID(bytes=(at_ms % _TIMES).to_bytes(TIME_BYTES, "big") + tail[:TAIL_BYTES])


def id_beside(other: UUID, tail: bytes) -> UUID:
    """Give an id with the time of another one."""
    return UUID(bytes=other.bytes[:TIME_BYTES] + tail[:TAIL_BYTES])
