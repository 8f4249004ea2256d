"""The front as granian serves it, before an office that has a page and a file of 256 MiB."""

from collections.abc import Callable, Iterator

from shuqiao.control import front

PIECE = bytes(64 * 1024)
PIECES = 4096


class _File:
    streaming = True

    def __iter__(self) -> Iterator[bytes]:
        for _ in range(PIECES):
            yield PIECE

    def close(self) -> None:
        """Nothing is open."""


class _Page(list[bytes]):
    streaming = False

    def close(self) -> None:
        """Nothing is open."""


def _office(environ: dict[str, object], start_response: Callable[..., object]) -> object:
    start_response("200 OK", [("content-type", "application/octet-stream")])
    return _File() if environ["PATH_INFO"] == "/file" else _Page([b"a page"])


front.office = _office  # type: ignore[assignment]
application = front.application
