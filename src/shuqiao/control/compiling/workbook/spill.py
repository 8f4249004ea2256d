"""Rows set aside by their key in a temporary file, so that memory does not grow with their number."""

from array import array
from collections.abc import Iterator
from tempfile import TemporaryFile


class Spill:
    """Keeps payloads by key; `take` gives them back in their order, once."""

    def __init__(self) -> None:
        """Open the file."""
        self._file = TemporaryFile()  # noqa: SIM115 - closed with `close`
        self._places: dict[str, array[int]] = {}
        self._end = 0

    def close(self) -> None:
        """Give the file back."""
        self._file.close()

    def add(self, key: str, payload: bytes) -> None:
        """Set a payload aside."""
        self._file.seek(self._end)
        self._places.setdefault(key, array("Q")).extend((self._end, len(payload)))
        self._end += self._file.write(payload)

    def take(self, key: str) -> list[bytes]:
        """Take what was set aside under a key."""
        places = self._places.pop(key, None)
        return [] if places is None else list(self._read(places))

    def left(self) -> Iterator[tuple[str, bytes]]:
        """The first payload of each key that nobody took."""
        for key, places in self._places.items():
            yield key, next(iter(self._read(places[:2])))

    def _read(self, places: "array[int]") -> Iterator[bytes]:
        for at in range(0, len(places), 2):
            self._file.seek(places[at])
            yield self._file.read(places[at + 1])
