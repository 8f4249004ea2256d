"""Creating accounts, signing in with a brake on guessing, own settings, and reading notices."""

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
MAX_PASSWORD_CHARS = 200
MAX_USERNAME_CHARS = 40


@dataclass(frozen=True)
class SignIn:
    """The result of an attempt: an account, or none and the seconds to wait before the next one."""

    account: Account | None
    wait_s: int = 0


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


def sign_in(username: str, password: str) -> SignIn:
    """Check a password; every attempt is recorded, also when the request fails afterwards.

    An unknown name costs the same work and gets the same answer as a wrong password. While an account
    waits, even the right password is not looked at.
    """
    name = username.strip().lower()[:MAX_USERNAME_CHARS]
    key = salted_hmac("sign-in", name).hexdigest()[:MAX_USERNAME_CHARS]
    now = clock.now()
    with transaction.atomic():
        # One attempt at a time for a name: parallel guesses would otherwise all see the same count.
        _lock_name(key)
        wait_s = _seconds_to_wait(key, now)
        if wait_s:
            return SignIn(None, wait_s)
        account = _checked(name, password[: MAX_PASSWORD_CHARS + 1])
        SignInAttempt.objects.create(name_key=key, attempted_at=now, succeeded=account is not None)
        _record(name, account, now)
        return SignIn(account, 0 if account else _seconds_to_wait(key, now))


def _lock_name(key: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext('sign-in'), hashtext(%s))", [key])


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
