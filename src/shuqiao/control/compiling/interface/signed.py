"""Who calls: an application of a department proves itself by the signature of the whole request.

The profile is that of the plane (`security.http_signatures`). A query is not covered by it, so nothing that
changes anything is ever read from a query or from an unsigned header.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.db import connection
from django.db.models import BinaryField, CharField, F, Func, Value
from django.db.models.functions import Substr
from django.db.models.lookups import Exact

from shuqiao.control.accounts.access import Viewer, viewer_of
from shuqiao.control.accounts.models import Account
from shuqiao.control.compiling.interface.models import UsedSignature
from shuqiao.control.organisations.models import Application
from shuqiao.control.organisations.queries import DepartmentRef, department_ref
from shuqiao.rules.errors import (
    DigestMismatch,
    EndUserRefused,
    SignatureInvalid,
    SignatureReplayed,
    SignatureStale,
)
from shuqiao.security.http_signatures import (
    SESSION_PREFIX,
    WINDOW_S,
    RequestSignature,
    decode_word,
    is_digest_of,
    is_within_window,
    read_signature,
    request_verifier,
)
from shuqiao.security.keys import KeyRefusedError
from shuqiao.wire.messages import call_entry_id

NOBODY = "-"
"""The end user's header of an application that asks for itself."""


@dataclass(frozen=True)
class SignedRequest:
    """A request as it came; names of headers in lower case, the path without a query."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Caller:
    """A proved application and the person of its department it acts for, who may be nobody."""

    application: str
    department: DepartmentRef
    viewer: Viewer | None

    @property
    def actor(self) -> str:
        """Return who acts, as the audit log names it."""
        return f"{self.application}/{self.viewer.username}" if self.viewer else self.application

    def person(self) -> Viewer:
        """Return the person; raises `EndUserRefused` where the application named none."""
        if self.viewer is None:
            raise EndUserRefused()
        return self.viewer


def authenticate(request: SignedRequest) -> Caller:
    """Check a request's signature, use it up, and tell who calls; raises a `CallError` or `EndUserRefused`.

    A signature is used up once it is proved to be the application's: an answer, even a refusal, is given to
    it once. Nothing is written for a signature that proves nothing.
    """
    signature = read_signature(request.method, request.path, request.headers)
    if not is_within_window(signature.created, _now().timestamp()):
        raise SignatureStale(window_s=WINDOW_S)
    application = _signer_of(signature)
    if not is_digest_of(signature.content_digest, request.body):
        raise DigestMismatch()
    _use_up(signature)
    user = decode_word(request.headers["shuqiao-end-user"])
    return Caller(application.id, department_ref(application.department), _person(application, user))


def forget_used_signatures() -> int:
    """Remove signatures whose window is over; returns how many."""
    return UsedSignature.objects.filter(expires_at__lt=_now()).delete()[0]


def _now() -> datetime:
    """Return the real time: signers know nothing of a sample whose calendar is played ahead."""
    return datetime.now(UTC)


def _signer_of(signature: RequestSignature) -> Application:
    """Return the active application whose key made the signature.

    The pages' own applications never compile: their keys belong to the platform.
    """
    if signature.key_id.startswith(SESSION_PREFIX):
        raise SignatureInvalid()
    # A key id is the beginning of a digest of the public key; two keys may share it, one verifies.
    digest = Func(F("public_key"), function="sha256", output_field=BinaryField())
    key_id = Substr(Func(digest, Value("hex"), function="encode", output_field=CharField()), 1, 16)
    active = Application.objects.filter(active=True, portal=False, department__active=True)
    for application in active.select_related("department").filter(Exact(key_id, signature.key_id)):
        try:
            verify = request_verifier(application.algorithm, bytes(application.public_key))
        except KeyRefusedError:
            continue
        if verify(signature.signature, signature.base):
            return application
    raise SignatureInvalid()


def _use_up(signature: RequestSignature) -> None:
    entry = call_entry_id(signature.key_id, signature.created, signature.nonce)
    expires = _now() + timedelta(seconds=2 * WINDOW_S)
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO interface_usedsignature (id, expires_at) VALUES (%s, %s) ON CONFLICT DO NOTHING",
            [entry, expires],
        )
        if cursor.rowcount == 0:
            raise SignatureReplayed()


def _person(application: Application, user: str) -> Viewer | None:
    """Return the named account; an unknown one and one of another department are refused alike."""
    if user == NOBODY:
        return None
    own = Account.objects.select_related("department").filter(
        username=user[:40], department_id=application.department_id, is_active=True
    )
    account = own.first()
    if account is None or account.username != user:
        raise EndUserRefused()
    return viewer_of(account)
