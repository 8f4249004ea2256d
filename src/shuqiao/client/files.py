"""Files from the plane: list them, fetch one and go on where it broke off, check what came."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import msgspec

from shuqiao.client.fetching import MAX_TRIES, CopyBroken, CopyRefused, Fetcher, Wanted, digest_of
from shuqiao.client.plane import PlaneClient
from shuqiao.security.http_signatures import CallContext
from shuqiao.wire.files import Channel, FileLine, FilesAnswer

MAX_STEM_BYTES = 120


@dataclass(frozen=True, slots=True)
class Fetched:
    """A file on the disk, whole and checked, and what the platform said of it."""

    path: Path
    line: FileLine


class FilesClient:
    """Fetches files as one application; the plane's client signs for it."""

    def __init__(self, plane: PlaneClient, url: str) -> None:
        """Remember whom to ask."""
        self._plane = plane
        self._fetcher = Fetcher(url, plane.tls)

    def close(self) -> None:
        """Close the connections."""
        self._fetcher.close()

    def list(
        self,
        resource: str,
        context: CallContext,
        *,
        file: UUID | None = None,
        case: str = "",
        channel: Channel = "interface",
    ) -> FilesAnswer:
        """List the files that a grant opens, or one of them; raises `CopyRefused`."""
        body: dict[str, Any] = {"case": case, "channel": channel}
        if file is not None:
            body["file"] = str(file)
        answer = self._plane.post(f"/v1/resources/{resource}/files", body, context)
        if not answer.is_answered:
            raise CopyRefused(answer.code or str(answer.status), str(answer.body.get("detail", "")))
        return msgspec.convert(answer.body, FilesAnswer)

    def fetch(
        self, resource: str, file: UUID, folder: Path, context: CallContext, *, case: str = ""
    ) -> Fetched:
        """Fetch the newest version of a file into a folder, or what is missing of it.

        It gets its name once it is whole, checked and on the disk. What was fetched of an older version is
        not mixed in: a version's rest lies under its own digest.
        """
        folder.mkdir(parents=True, exist_ok=True)
        for left in range(MAX_TRIES - 1, -1, -1):
            line = self.list(resource, context, file=file, case=case).files[0]
            target = folder / name_of(line)
            if target.exists() and digest_of(target) == line.digest:
                return Fetched(target, line)
            try:
                wanted = Wanted(line.path, line.size_bytes, line.digest)
                self._fetcher.fetch(wanted, target.with_name(f"{line.digest[:32]}.part"), target)
            except (httpx.HTTPError, CopyBroken):
                if not left:
                    raise
            else:
                return Fetched(target, line)
        raise CopyBroken("never reached")

    def open(self, path: str, wanted: str | None) -> httpx.Response:
        """Begin to fetch a file, or a range of it; the caller reads it piece by piece and closes it."""
        return self._fetcher.open(path, wanted)


def name_of(line: FileLine) -> str:
    """Give the name under which a file is kept: the provider's, made harmless, after the file's own number.

    Two files may bear one name, and a name must not lead anywhere.
    """
    suffix = Path(line.name).suffix if line.name.isprintable() else ""
    stem = "".join(one for one in Path(line.name).stem if one.isalnum() or one in "-_ ()（）")
    kept = stem.encode()[:MAX_STEM_BYTES].decode("utf-8", "ignore").strip()
    safe = suffix if suffix[1:].isascii() and suffix[1:].isalnum() else ""
    return f"{str(line.file)[:8]}-{kept or 'file'}{safe}"
