"""Copies from the plane: ask, wait, check the manifest, fetch each part and go on where it broke off."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import msgspec
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from shuqiao.client.fetching import (
    MAX_TRIES,
    CopyBroken,
    CopyRefused,
    Fetcher,
    Opening,
    Wanted,
    digest_of,
)
from shuqiao.client.plane import TIMEOUT_S, PlaneAnswer, PlaneClient, PromiseKeys
from shuqiao.security.at_rest import DIGESTS, FileKey
from shuqiao.security.http_signatures import CallContext
from shuqiao.security.recipients import SALT_FILE, open_key, recipient_id, salt_of, write_recipient
from shuqiao.security.sealing import SealRefusedError
from shuqiao.wire.bulk import (
    BulkState,
    FeedAsked,
    FeedState,
    Manifest,
    ManifestUnreadable,
    Receipt,
    sealed_context,
    verify_manifest,
)
from shuqiao.wire.recalls import DeletionKept, Recall, RecallsAnswer

SEALED_OTHERWISE = ("recipient_key_needed", "recipient_key_other", "not_sealed", "feed_sealed_otherwise")
"""Codes of `CopyRefused` for what the client refuses by itself: it can't be opened, or should be sealed."""

POLL_S = 0.05
MAX_POLL_S = 2.0


@dataclass(frozen=True, slots=True)
class Copy:
    """A copy on the disk: its checked manifest and its files in order."""

    manifest: Manifest
    files: tuple[Path, ...]


class BulkClient:
    """Fetches copies and feeds as one application; the plane's client signs for it."""

    def __init__(
        self,
        plane: PlaneClient,
        url: str,
        promise_keys: PromiseKeys,
        recipient: X25519PrivateKey | None = None,
    ) -> None:
        """Remember whom to ask and whose signature counts.

        With `recipient` copies are asked for sealed to this key, and nothing that isn't is taken.
        """
        self._recipient = recipient
        self._plane = plane
        self._keys = promise_keys
        self._fetcher = Fetcher(url, plane.tls)

    @property
    def plane(self) -> PlaneClient:
        """What signs for the application."""
        return self._plane

    def close(self) -> None:
        """Close the connections."""
        self._fetcher.close()

    def ask(
        self, resource: str, form: str = "arrow", *, case: str = "", context: CallContext, **options: str
    ) -> str:
        """Ask for a copy; returns its job. Raises `CopyRefused`."""
        body = {"resource": resource, "format": form, "case": case, **self._sealed(), **options}
        return str(_answered(self._plane.post("/v1/bulk", body, context)).body["job"])

    def _sealed(self) -> dict[str, str]:
        return {} if self._recipient is None else {"recipient": write_recipient(self._recipient.public_key())}

    def state(self, job: str, context: CallContext) -> BulkState:
        """Tell how far a copy is."""
        answer = _answered(self._plane.post(f"/v1/bulk/{job}", {}, context, is_recorded=False))
        return msgspec.convert(answer.body, BulkState)

    def wait(
        self,
        job: str,
        context: CallContext,
        *,
        timeout_s: float = 3600.0,
        tell: Callable[[BulkState], None] | None = None,
    ) -> BulkState:
        """Wait until a copy is ready; raises `CopyRefused` when it never will be, or TimeoutError."""
        until, pause = time.monotonic() + timeout_s, POLL_S
        while True:
            state = self.state(job, context)
            if tell is not None:
                tell(state)
            if state.state == "ready":
                return state
            if state.state not in ("waiting", "preparing"):
                raise CopyRefused(state.failure or state.state, "")
            if time.monotonic() > until:
                raise TimeoutError(f"the copy {job} is not ready")
            time.sleep(pause)
            pause = min(pause * 1.3, MAX_POLL_S)

    def manifest(self, state: BulkState) -> Manifest:
        """Check who signed the manifest, and that the copy is sealed as it was asked for.

        Raises `CopyBroken`, and `CopyRefused` where it is sealed to another key, or otherwise than wanted.
        """
        key = self._keys.get(state.key_id)
        try:
            if key is None:
                raise CopyBroken("the manifest is signed by an unknown key")
            manifest = verify_manifest(state.manifest, base64.b64decode(state.signature), key)
        except (ManifestUnreadable, ValueError) as error:
            raise CopyBroken("the manifest is not the platform's") from error
        if manifest.job != state.job:
            raise CopyBroken("the manifest is another copy's")
        _check_recipient(manifest, self._recipient)
        return manifest

    def content_key(self, state: BulkState) -> FileKey | None:
        """Open the key of a sealed copy; None where there is nothing to open. Raises `CopyBroken`."""
        if self._recipient is None:
            return None
        try:
            sealed = base64.b64decode(state.sealed_key, validate=True)
            return open_key(self._recipient, sealed, sealed_context(state.job))
        except (SealRefusedError, ValueError):
            raise CopyBroken("what should open the copy is not what was sealed to your key") from None

    def fetch(self, job: str, folder: Path, context: CallContext) -> Copy:
        """Fetch what is missing of a copy that is ready; whole files are checked and not fetched again."""
        state = self.state(job, context)
        if state.state != "ready":
            raise CopyRefused(state.failure or state.state, "")
        manifest = self.manifest(state)
        folder.mkdir(parents=True, exist_ok=True)
        algorithm, key = DIGESTS[manifest.digest_algorithm], self.content_key(state)
        salt = b"" if key is None else salt_of(key)
        if salt:
            (folder / SALT_FILE).write_text(salt.hex() + "\n", encoding="ascii")
        files = []
        for part in manifest.parts:
            file = folder / Path(part.name).name
            for left in range(MAX_TRIES - 1, -1, -1):
                if file.exists() and digest_of(file, algorithm, salt) == part.digest:
                    break
                try:
                    path = next(link.path for link in state.links if link.number == part.number)
                    opening = None if key is None else Opening(key, part.number, sealed_context(state.job))
                    wanted = Wanted(path, part.size_bytes, part.digest, algorithm, opening)
                    self._fetcher.fetch(wanted, file.with_name(file.name + ".part"), file)
                except (httpx.HTTPError, CopyBroken):
                    if not left:
                        raise
                    state = self.state(job, context)
            files.append(file)
        (folder / "manifest.json").write_text(state.manifest, encoding="utf-8")
        (folder / "manifest.signature").write_text(f"{state.key_id} {state.signature}\n", encoding="ascii")
        return Copy(manifest, tuple(files))

    def open_part(self, path: str, wanted: str | None) -> httpx.Response:
        """Begin to fetch a part, or a range of it; the caller reads it piece by piece and closes it."""
        return self._fetcher.open(path, wanted)

    def subscribe(self, resource: str, form: str = "arrow", *, case: str = "", context: CallContext) -> str:
        """Subscribe to the changes of a resource; said again, it gives the subscription there is.

        Raises `CopyRefused` where that is sealed otherwise than wanted.
        """
        found = self.subscription(resource, form, case=case, context=context)
        if found.recipient != self._sealed().get("recipient", ""):
            raise CopyRefused(
                "feed_sealed_otherwise",
                f"the feed {found.feed} is sealed to another key or to none: end it, then subscribe anew",
            )
        return str(found.feed)

    def subscription(
        self, resource: str, form: str = "arrow", *, case: str = "", context: CallContext
    ) -> FeedAsked:
        """Give the subscription there is, sealed or not; begin one where there is none."""
        body = {"resource": resource, "format": form, "case": case, **self._sealed()}
        answer = _answered(self._plane.post("/v1/feeds", body, context))
        return msgspec.convert(answer.body, FeedAsked)

    def feed(self, feed: str, context: CallContext, *, wait_s: float = 0, after: int = 0) -> FeedState:
        """Tell where a feed stands; waits so long for a part after `after`, 30 s at most."""
        body = {"wait": wait_s, "after": after} if wait_s or after else {}
        path, patience_s = f"/v1/feeds/{feed}", wait_s + TIMEOUT_S
        answer = self._plane.post(path, body, context, is_recorded=False, timeout_s=patience_s)
        return msgspec.convert(_answered(answer).body, FeedState)

    def take(self, feed: str, number: int, context: CallContext, receipt: Receipt | None = None) -> None:
        """Say that all parts up to this one are kept here, and what became of the last of them."""
        body: dict[str, Any] = {"number": number}
        if receipt is not None:
            body["receipt"] = msgspec.to_builtins(receipt)
        _answered(self._plane.post(f"/v1/feeds/{feed}/taken", body, context))

    def end_feed(self, feed: str, context: CallContext, *, rests: bool = False) -> None:
        """End a feed; with `rests` none is given until one is ended without. May be said again."""
        _answered(self._plane.post(f"/v1/feeds/{feed}/end", {"rests": rests}, context))

    def recalls(self, context: CallContext, feed: str | None = None) -> tuple[Recall, ...]:
        """What is to be deleted as its grant has ended, or of one feed, and has no receipt yet."""
        wanted = {} if feed is None else {"feed": feed}
        answer = _answered(self._plane.post("/v1/recalls", wanted, context, is_recorded=False))
        return msgspec.convert(answer.body, RecallsAnswer).recalls

    def sign_for(self, recall: str, statement: str, signature: str, context: CallContext) -> DeletionKept:
        """Bring the receipt of a deletion; said again, it is kept once."""
        body = {"statement": statement} | ({"signature": signature} if signature else {})
        answer = _answered(self._plane.post(f"/v1/recalls/{recall}/receipt", body, context))
        return msgspec.convert(answer.body, DeletionKept)

    def browse(self, resource: str, body: dict[str, Any], context: CallContext) -> PlaneAnswer:
        """Read one page of records."""
        return self._plane.post(f"/v1/resources/{resource}/browse", body, context)


def _check_recipient(manifest: Manifest, own: X25519PrivateKey | None) -> None:
    """Say clearly why a copy can't be opened, or isn't sealed; raises `CopyRefused`."""
    if own is None:
        if manifest.sealed_to:
            raise CopyRefused("recipient_key_needed", f"sealed to the key {recipient_id(manifest.sealed_to)}")
        return
    mine = write_recipient(own.public_key())
    if not manifest.sealed_to:
        raise CopyRefused("not_sealed", "it was asked for without a recipient's key: ask for a new one")
    if manifest.sealed_to != mine:
        theirs = recipient_id(manifest.sealed_to)
        raise CopyRefused("recipient_key_other", f"sealed to the key {theirs}, yours is {recipient_id(mine)}")


def _answered(answer: PlaneAnswer) -> PlaneAnswer:
    if not answer.is_answered:
        raise CopyRefused(answer.code or str(answer.status), str(answer.body.get("detail", "")))
    return answer
