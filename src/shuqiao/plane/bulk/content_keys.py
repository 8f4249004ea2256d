"""The key of one attempt at a copy, and how it is kept: for the platform, or for the recipient alone."""

from __future__ import annotations

import base64
from dataclasses import dataclass

from shuqiao.plane.bulk.jobs import Job
from shuqiao.plane.bulk.settings import Spool
from shuqiao.rules.errors import RecipientKeyUnfit, SealingOnPages, SealingUnsupported
from shuqiao.security import keys
from shuqiao.security.at_rest import FileKey, new_key, wrap_key
from shuqiao.security.recipients import RecipientUnfit, read_recipient, salt_of, seal_key
from shuqiao.security.suites import INTERNATIONAL, Suite
from shuqiao.wire.bulk import sealed_context


@dataclass(frozen=True, slots=True, repr=False)
class ContentKey:
    """A content key, what its pieces are bound to, and `salt`, which stands before what is digested.

    `kept` is all that stays of it: wrapped under the platform's secret, or sealed to the recipient.
    """

    key: FileKey
    context: bytes
    salt: bytes
    kept: bytes


def read_recipient_key(text: str, suite: Suite, *, is_on_pages: bool) -> bytes | None:
    """Read the recipient's key of a request, as DER; None where the copy is not to be sealed.

    Raises a `CallError` where it can't be.
    """
    if not text:
        return None
    if is_on_pages:
        raise SealingOnPages()
    if suite is not INTERNATIONAL:
        raise SealingUnsupported()
    try:
        return keys.public_der(read_recipient(text))
    except RecipientUnfit:
        raise RecipientKeyUnfit() from None


def make_content_key(job: Job, spool: Spool) -> ContentKey:
    """Make the key of an attempt; raises a `CallError` where it can't be sealed to the recipient."""
    key = new_key(spool.suite)
    if job.recipient is None:
        context = f"{job.id}/{job.attempt}".encode()
        return ContentKey(key, context, b"", wrap_key(spool.wrapping_secret, key, context))
    if spool.suite is not INTERNATIONAL:
        raise SealingUnsupported()
    context = sealed_context(job.id)
    try:
        recipient = read_recipient(base64.b64encode(job.recipient).decode())
    except RecipientUnfit:
        raise RecipientKeyUnfit() from None
    return ContentKey(key, context, salt_of(key), seal_key(recipient, key, context))
