"""Creating accounts, signing in with a brake on guessing, own settings, and reading notices."""

import time
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.contrib.auth.hashers import check_password, make_password
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import connection, transaction
from django.utils.crypto import salted_hmac

from shuqiao.control import clock
from shuqiao.control.accounts.access import Fault, FormRefused, Viewer
from shuqiao.control.accounts.models import Account, SignInAttempt
from shuqiao.control.accounts.notices import notices_for
from shuqiao.control.audit.actions import append_entry
from shuqiao.control.texts import Text

# Source: our choice, decision "sign-in": five wrong passwords in a row make the account wait.
WRONG_BEFORE_WAIT = 5
WAIT = timedelta(minutes=5)
# So many wrong ones from one address make it wait, whatever the names: an office of hundreds behind one
# address mistypes less often, and who tries one password on many names is stopped.
WRONG_FROM_ADDRESS = 30
# Each check takes much memory and a whole core by design, and passwords are checked for anybody who asks.
CHECKS_AT_ONCE = 2
PATIENCE_S = 1.0
_LOOK_AGAIN_S = 0.02
MAX_PASSWORD_CHARS = 200
MAX_USERNAME_CHARS = 40


@dataclass(frozen=True)
class SignIn:
    """The result of an attempt: an account, or none and the seconds to wait before the next one.

    `busy` says that too many passwords are being checked now, and this one was not looked at.
    """

    account: Account | None
    wait_s: int = 0
    busy: bool = False


@dataclass(frozen=True)
class AccountInput:
    """A person to whom an account is given."""

    username: str
    display_name: str
    department: str
    role: str
    email: str = ""


def create_account(given: AccountInput, password: str, *, renew: bool = False) -> Account:
    """Create an account, or keep the one of that name as it is; with `renew` it gets the password."""
    account = Account.objects.filter(username=given.username).first()
    if account is None:
        return Account.objects.create(
            username=given.username,
            display_name=given.display_name,
            department_id=given.department,
            role=given.role,
            email=given.email,
            password=make_password(password),
            created_at=clock.now(),
        )
    if renew:
        account.password = make_password(password)
        account.save(update_fields=["password"])
    return account


@transaction.atomic
def set_email(viewer: Viewer, address: str) -> None:
    """Set where the viewer's own notices are mailed, or stop mailing them with an empty address.

    The audit entry says that it was changed, never the address. Raises `FormRefused`.
    """
    given = address.strip()
    if given:
        try:
            validate_email(given)
        except ValidationError:
            words = Text("请填写完整的邮箱地址", "Give a complete e-mail address")
            raise FormRefused((Fault("email", "email_invalid", words),)) from None
    changed = Account.objects.filter(pk=viewer.account_id).exclude(email=given).update(email=given)
    if changed:
        append_entry(
            "account_changed",
            actor=f"account:{viewer.username}",
            at=clock.now(),
            outcome="email_set" if given else "email_removed",
            department=viewer.department.code,
        )


def sign_in(username: str, password: str, address: str) -> SignIn:
    """Check a password; every attempt that is looked at is recorded, also when the request fails afterwards.

    An unknown name costs the same work and gets the same answer as a wrong password. While a name or an
    address waits, even the right password is not looked at; nor while too many others are.
    """
    name = username.strip().lower()[:MAX_USERNAME_CHARS]
    name_key, address_key = _digest("sign-in", name), _digest("sign-in address", address)
    now = clock.now()
    with transaction.atomic():
        # One attempt at a time for a name: parallel guesses would otherwise all see the same count. Nobody
        # waits for long, or guesses at one name would hold up everybody's pages.
        if not _try_lock("sign-in", (name_key,)):
            return SignIn(None, busy=True)
        wait_s = max(_seconds_to_wait(name_key, now), _seconds_to_wait_at(address_key, now))
        if wait_s:
            return SignIn(None, wait_s)
        if not _try_lock("password check", tuple(map(str, range(CHECKS_AT_ONCE)))):
            return SignIn(None, busy=True)
        account = _checked(name, password[: MAX_PASSWORD_CHARS + 1])
        SignInAttempt.objects.create(
            name_key=name_key, address_key=address_key, attempted_at=now, succeeded=account is not None
        )
        _record(name, account, now)
        if account is not None:
            return SignIn(account)
        return SignIn(None, max(_seconds_to_wait(name_key, now), _seconds_to_wait_at(address_key, now)))


def _digest(purpose: str, value: str) -> str:
    return salted_hmac(purpose, value).hexdigest()[:MAX_USERNAME_CHARS]


def _try_lock(kind: str, keys: tuple[str, ...]) -> bool:
    """Take one of these locks until the end of the transaction, unless others hold them for too long.

    The locks are the database's, so that the bound is one for all processes of all machines.
    """
    give_up_at = time.monotonic() + PATIENCE_S
    while True:
        with connection.cursor() as cursor:
            for key in keys:
                cursor.execute("SELECT pg_try_advisory_xact_lock(hashtext(%s), hashtext(%s))", [kind, key])
                if cursor.fetchone() == (True,):
                    return True
        if time.monotonic() >= give_up_at:
            return False
        time.sleep(_LOOK_AGAIN_S)


def _seconds_to_wait_at(address_key: str, now: datetime) -> int:
    wrong = list(
        SignInAttempt.objects.filter(address_key=address_key, succeeded=False, attempted_at__gt=now - WAIT)
        .order_by("-attempted_at", "-id")
        .values_list("attempted_at", flat=True)[:WRONG_FROM_ADDRESS]
    )
    if len(wrong) < WRONG_FROM_ADDRESS:
        return 0
    return max(1, int((wrong[-1] + WAIT - now).total_seconds()))


def _seconds_to_wait(key: str, now: datetime) -> int:
    recent = list(
        SignInAttempt.objects.filter(name_key=key, attempted_at__gt=now - WAIT)
        .order_by("-attempted_at", "-id")
        .values_list("succeeded", "attempted_at")[:WRONG_BEFORE_WAIT]
    )
    if len(recent) < WRONG_BEFORE_WAIT or any(succeeded for succeeded, _ in recent):
        return 0
    return max(1, int((recent[0][1] + WAIT - now).total_seconds()))


def _checked(name: str, password: str) -> Account | None:
    account = Account.objects.select_related("department").filter(username=name, is_active=True).first()
    # A hash is checked in any case, so that time doesn't tell whether the name exists.
    encoded = account.password if account else _nobodys_password()
    right = check_password(password, encoded)
    return account if right and account and len(password) <= MAX_PASSWORD_CHARS else None


_nobody: list[str] = []


def _nobodys_password() -> str:
    if not _nobody:
        _nobody.append(make_password("nobody has this password"))
    return _nobody[0]


def _record(name: str, account: Account | None, now: datetime) -> None:
    known = account or Account.objects.filter(username=name).first()
    # A name that no account has may be a mistyped password: it never reaches the log.
    append_entry(
        "signed_in" if account else "sign_in_refused",
        actor=f"account:{known.username}" if known else "unknown",
        at=now,
        outcome="accepted" if account else "refused",
        department=known.department_id if known else None,
        provider=known.department_id if known else None,
    )


def forget_old_attempts() -> int:
    """Delete sign-in attempts that no wait can rest on any more; the audit log keeps its own entries."""
    deleted, _ = SignInAttempt.objects.filter(attempted_at__lt=clock.now() - 2 * WAIT).delete()
    return deleted


def mark_notices_read(viewer: Viewer) -> int:
    """Mark everything the viewer can see as read; return how many were new."""
    return notices_for(viewer).filter(read_at=None).update(read_at=clock.now())
