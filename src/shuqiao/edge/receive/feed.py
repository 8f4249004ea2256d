"""A subscription's side towards the plane: the next part, its checked manifest, its rows as they come.

Nothing of a part is put on a disk here. Its bytes are digested while its rows go to the target, and only
what was digested to its end and found to be what the platform has signed may be kept there.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import httpx
import pyarrow as pa
from pyarrow import ipc

from shuqiao.client.bulk import SEALED_OTHERWISE, BulkClient
from shuqiao.client.fetching import CopyBroken, CopyRefused
from shuqiao.client.plane import PlaneClient, load_promise_keys
from shuqiao.edge.receive.reading import Subscription
from shuqiao.security import keys
from shuqiao.security.at_rest import DIGESTS, FileKey, FileRefused, encrypted_size, open_pieces
from shuqiao.security.http_signatures import CallContext, key_signer
from shuqiao.security.recipients import salt_of
from shuqiao.wire.bulk import (
    BulkState,
    FeedState,
    Manifest,
    ManifestPart,
    Receipt,
    Unfit,
    sealed_context,
)
from shuqiao.wire.recalls import DeletionKept, Recall

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

MAX_TRIES = 5
MAX_KEYS_BYTES = 64 * 1024
_READ_BYTES = 256 * 1024
_SPARE = timedelta(minutes=5)
"""A link that ends sooner is asked for anew before a file is begun."""

_GONE_CODES = ("not_available",)


class FeedEnded(Exception):
    """The feed that was followed is over; a new one begins with everything there is."""


class OutOfStep(Exception):
    """Hub and target don't agree on what was taken; `code` says how. A person has to look."""

    def __init__(self, code: str) -> None:
        """Keep the code."""
        super().__init__(code)
        self.code = code


class SealedOtherwise(Exception):
    """The feed is sealed to another key than the subscription's file names, or only one of them is sealed."""


@dataclass(frozen=True, slots=True)
class Part:
    """A part that may be applied: its checked manifest, and the digest of it."""

    state: BulkState
    manifest: Manifest
    digest: str

    @property
    def number(self) -> int:
        """Its number in the feed."""
        return self.manifest.number or 0


@dataclass(frozen=True, slots=True)
class Applied:
    """What became of a part in the target."""

    number: int
    digest: str
    applied: int
    gone: int
    dead: int
    at: datetime
    unfit: tuple[Unfit, ...] = ()

    def receipt(self) -> Receipt:
        """As the plane takes it."""
        return Receipt(self.digest, self.at, self.applied, self.gone, self.dead, self.unfit)


class Feed:
    """Follows the feed of one subscription; not for several threads at once."""

    def __init__(self, subscription: Subscription) -> None:
        """Read the keys; raises OSError, ValueError or `KeyRefusedError`. Nothing is connected yet."""
        with subscription.plane_keys.open("rb") as file:
            trusted = load_promise_keys(json.loads(file.read(MAX_KEYS_BYTES))["keys"])
        signer = key_signer(keys.load_signing_key(subscription.key_file))
        url = subscription.plane_url
        self._plane = PlaneClient(
            url, signer, promise_keys=trusted, language="en", ca_file=subscription.authority
        )
        own = subscription.recipient_key
        recipient = None if own is None else keys.load_or_create_sealing_key(own)
        self._bulk = BulkClient(self._plane, url, trusted, recipient)
        self._subscription = subscription
        self._context = CallContext(subscription.purpose, "", subscription.grant)

    def close(self) -> None:
        """Close the connections."""
        self._bulk.close()
        self._plane.close()

    def subscribe(self) -> str:
        """Subscribe; said again, it gives the feed there is; `SealedOtherwise` for another key."""
        wanted = self._subscription
        try:
            return self._bulk.subscribe(wanted.resource, "arrow", case=wanted.case, context=self._context)
        except CopyRefused as refused:
            raise _unopened(refused) from None

    def there(self) -> str:
        """The feed there is, sealed or not, so that it can be ended."""
        wanted = self._subscription
        found = self._bulk.subscription(wanted.resource, "arrow", case=wanted.case, context=self._context)
        return str(found.feed)

    def look(self, feed: str, after: int, wait_s: float) -> FeedState:
        """Tell where the feed stands; waits so long for the part after this one.

        Raises `FeedEnded`, `OutOfStep` or `CopyRefused`.
        """
        try:
            state = self._bulk.feed(feed, self._context, wait_s=wait_s, after=after)
        except CopyRefused as refused:
            if refused.code in _GONE_CODES:
                raise FeedEnded from None
            raise
        if state.taken_number > after:
            raise OutOfStep("target_is_older")
        if state.last_number < after:
            raise OutOfStep("hub_is_older")
        return state

    def checked(self, state: BulkState, feed: str, after: int, up_to: int) -> Part:
        """Check that this is the part after this one, which ends with batch `up_to`.

        Raises `CopyBroken`, and `SealedOtherwise` than to the key of the subscription's file.
        """
        try:
            manifest = self._bulk.manifest(state)
        except CopyRefused as refused:
            raise _unopened(refused) from None
        wanted = (feed, after + 1, self._subscription.resource, "arrow")
        given = (str(manifest.feed), manifest.number, manifest.resource, manifest.format)
        if given != wanted or (after and manifest.after != up_to):
            raise CopyBroken("the manifest is of another part")
        return Part(state, manifest, hashlib.sha256(state.manifest.encode()).hexdigest())

    def take(self, feed: str, applied: Applied) -> None:
        """Say what became of a part."""
        self._bulk.take(feed, applied.number, self._context, applied.receipt())

    def end(self, feed: str, *, rests: bool = False) -> None:
        """End the feed at the hub, so that the next one begins anew, or with `rests` that there is none.

        Nothing where it isn't there.
        """
        try:
            self._bulk.end_feed(feed, self._context, rests=rests)
        except CopyRefused as refused:
            if refused.code not in _GONE_CODES:
                raise

    def recall_of(self, feed: str) -> Recall | None:
        """The open recall that calls this feed's rows back; None where there is none."""
        for recall in self._bulk.recalls(self._context, feed):
            for held in recall.held:
                if held.way == "feed" and feed in (held.id, *held.earlier):
                    return recall
        return None

    def sign_for(self, recall: str, statement: str, signature: str) -> DeletionKept:
        """Bring the receipt of a deletion; said again, it is kept once."""
        return self._bulk.sign_for(recall, statement, signature, self._context)

    def batches(self, part: Part) -> Iterator[pa.RecordBatch]:
        """Give the rows of a part as they come. Raises `CopyBroken` at the end where they are not what was
        signed, so nothing may be kept before the end."""
        state = part.state
        key = self._bulk.content_key(state)
        for one in part.manifest.parts:
            if any(link.expires_at - now() < _SPARE for link in state.links):
                # Earlier files took long; what was signed stays as it was checked.
                state = self._bulk.state(str(state.job), self._context)
            link = next((link for link in state.links if link.number == one.number), None)
            if link is None:
                raise CopyBroken("a file of the part has no link")
            yield from self._file(part, one, link.path, key)

    def _file(
        self, part: Part, one: ManifestPart, path: str, key: FileKey | None
    ) -> Iterator[pa.RecordBatch]:
        rows, algorithm = 0, DIGESTS[part.manifest.digest_algorithm]
        with _Arriving(self._bulk, path, one, is_sealed=key is not None) as arriving:
            if key is None:
                file = _Checked(iter(arriving), one, hashlib.new(algorithm))
            else:
                context = sealed_context(part.manifest.job)
                plain = open_pieces(arriving, key, one.number, context, one.size_bytes)
                file = _Checked(plain, one, hashlib.new(algorithm, salt_of(key)))
            try:
                # Arrow takes a short read for the end, and the network gives what has come.
                whole = io.BufferedReader(file, _READ_BYTES)
                with ipc.open_stream(pa.PythonFile(whole, mode="r")) as reader:
                    for batch in reader:
                        rows += batch.num_rows
                        yield batch
                file.finish()
            except (pa.ArrowException, OSError) as error:
                raise CopyBroken(f"{one.name} is not what the manifest says") from error
        if rows != one.rows:
            raise CopyBroken(f"{one.name} has not the rows of the manifest")


class _Arriving:
    """The bytes of a file as they come; goes on where a connection broke off."""

    def __init__(self, bulk: BulkClient, path: str, one: ManifestPart, *, is_sealed: bool) -> None:
        """Remember what to fetch; the first read connects."""
        self._bulk = bulk
        self._path = path
        self._name = one.name
        self._size_bytes = encrypted_size(one.size_bytes) if is_sealed else one.size_bytes
        self._response: httpx.Response | None = None
        self._pieces: Iterator[bytes] = iter(())
        self._got = 0
        self._tries = 0

    def __enter__(self) -> _Arriving:
        """Use it in a `with` block."""
        return self

    def __exit__(self, *_: object) -> None:
        """Let the connection go."""
        if self._response is not None:
            self._response.close()

    def __iter__(self) -> Iterator[bytes]:
        """Give the bytes once."""
        return iter(self._piece, None)

    def _piece(self) -> bytes | None:
        """The next bytes of the file, whatever happens to connections; None at its end."""
        while self._got < self._size_bytes:
            try:
                if self._response is None:
                    self._open()
                piece = next(self._pieces, b"")
            except httpx.HTTPError:
                self._again()
                if self._tries >= MAX_TRIES:
                    raise
                continue
            if not piece:
                self._again()
                if self._tries >= MAX_TRIES:
                    raise CopyBroken(f"{self._name} ends too early")
                continue
            self._got += len(piece)
            if self._got > self._size_bytes:
                raise CopyBroken(f"{self._name} is longer than the manifest says")
            return piece
        return None

    def _open(self) -> None:
        wanted = f"bytes={self._got}-" if self._got else None
        self._response = self._bulk.open_part(self._path, wanted)
        if self._got and self._response.status_code != httpx.codes.PARTIAL_CONTENT:
            raise CopyBroken(f"{self._name} is not given from its middle")
        self._pieces = self._response.iter_raw(_READ_BYTES)

    def _again(self) -> None:
        self._tries += 1
        if self._response is not None:
            self._response.close()
        self._response = None


class _Checked(io.RawIOBase):
    """The content of a file as it comes, opened where it was sealed, digested."""

    def __init__(self, pieces: Iterator[bytes], one: ManifestPart, digest: hashlib._Hash) -> None:
        """Keep what gives the content."""
        self._pieces = pieces
        self._one = one
        self._digest = digest
        self._waiting = memoryview(b"")

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, target: WriteableBuffer) -> int:
        """Give some bytes; none at the end."""
        while not self._waiting:
            piece = self._piece()
            if piece is None:
                return 0
            self._waiting = memoryview(piece)
        into = memoryview(target).cast("B")
        size = min(len(into), len(self._waiting))
        into[:size] = self._waiting[:size]
        self._waiting = self._waiting[size:]
        return size

    def finish(self) -> None:
        """Read what is left and compare; raises `CopyBroken`."""
        while self._piece() is not None:
            pass
        if self._digest.hexdigest() != self._one.digest:
            raise CopyBroken(f"{self._one.name} is not what the manifest says")

    def _piece(self) -> bytes | None:
        try:
            piece = next(self._pieces, None)
        except FileRefused:
            raise CopyBroken(f"{self._one.name} does not open") from None
        if piece is not None:
            self._digest.update(piece)
        return piece


def _unopened(refused: CopyRefused) -> Exception:
    """What a refusal is at this node: where only another key would open the feed, a person has to look."""
    return SealedOtherwise(str(refused)) if refused.code in SEALED_OTHERWISE else refused


def now() -> datetime:
    """The time, as receipts have it."""
    return datetime.now(UTC)
