"""Cuts what comes over a connection into frames; knows nothing of what they say."""

from __future__ import annotations

from shuqiao.wire.vault.messages import LENGTH_BYTES, FrameRefused


class Frames:
    """What was received and not yet taken. A frame beyond the limit is refused before its body is there."""

    def __init__(self, limit_bytes: int) -> None:
        """Begin with nothing; `limit_bytes` may change between two frames."""
        self.limit_bytes = limit_bytes
        self._received = bytearray()

    @property
    def is_begun(self) -> bool:
        """Tell whether a frame has begun that was not taken yet."""
        return bool(self._received)

    def feed(self, data: bytes) -> None:
        """Take what has come."""
        self._received += data

    def take(self) -> bytes | None:
        """Give the body of the next frame, or None until it is there in full; raises `FrameRefused`."""
        received = self._received
        if len(received) < LENGTH_BYTES:
            return None
        size = int.from_bytes(received[:LENGTH_BYTES], "big")
        if size > self.limit_bytes:
            raise FrameRefused(f"a frame of {size} bytes exceeds {self.limit_bytes}")
        end = LENGTH_BYTES + size
        if len(received) < end:
            return None
        body = bytes(received[LENGTH_BYTES:end])
        del received[:end]
        return body
