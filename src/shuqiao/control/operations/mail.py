"""Notices by mail: a title, the number of the case and a day, never what a case says or whom it is about.

A notice is addressed once its transaction has committed, and each mail is sent under its own lock. A process
killed between the server's acceptance and our note of it sends once more, with the same Message-ID, by which
mail programs know it as the same.
"""

import re
import smtplib
from datetime import timedelta

from django.conf import settings
from django.core.mail import EmailMessage, get_connection
from django.core.mail.backends.base import BaseEmailBackend
from django.db import transaction

from shuqiao.control import clock
from shuqiao.control.accounts.access import viewer_of
from shuqiao.control.accounts.models import Account, Mail, Notification
from shuqiao.control.operations.notices import NOTICES
from shuqiao.control.texts import Text

BATCH = 500
MAX_ATTEMPTS = 10
FIRST_WAIT = timedelta(minutes=2)
LONGEST_WAIT = timedelta(hours=6)

_REFERENCE = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]{0,59}", re.ASCII)
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_ANY = Text("有新通知", "A new notice")


def address_notices() -> int:
    """Write a mail for everybody with an address whom a new notice concerns; return how many notices."""
    keys = Notification.objects.filter(addressed=False).order_by("pk").values_list("pk", flat=True)
    return sum(_address(pk) for pk in list(keys[:BATCH]))


@transaction.atomic
def _address(pk: int) -> int:
    found = Notification.objects.select_for_update(skip_locked=True).filter(pk=pk, addressed=False)
    notice = found.first()
    if notice is None:
        return 0
    Mail.objects.bulk_create(
        [Mail(notice=notice, account=account, next_try_at=clock.now()) for account in _readers(notice)],
        ignore_conflicts=True,
    )
    found.filter(pk=pk).update(addressed=True)
    return 1


def _readers(notice: Notification) -> list[Account]:
    """The accounts with an address that see the notice on their pages."""
    accounts = Account.objects.select_related("department").filter(
        department_id=notice.department_id, is_active=True
    )
    if notice.account_id is not None:
        accounts = accounts.filter(pk=notice.account_id)
    return [
        account
        for account in accounts.exclude(email="").order_by("pk")
        if not notice.capability or viewer_of(account).can(notice.capability)
    ]


def send_mails() -> int:
    """Send what is due to be sent; a server that refuses is asked again, ever later. Return how many went."""
    waiting = Mail.objects.filter(sent_at=None, abandoned=False, next_try_at__lte=clock.now())
    keys = list(waiting.order_by("next_try_at", "pk").values_list("pk", flat=True)[:BATCH])
    if not keys:
        return 0
    server = get_connection()
    try:
        return sum(_send(pk, server) for pk in keys)
    finally:
        server.close()


@transaction.atomic
def _send(pk: int, server: BaseEmailBackend) -> int:
    rows = Mail.objects.select_for_update(skip_locked=True, of=("self",)).select_related("notice", "account")
    mail = rows.filter(pk=pk, sent_at=None, abandoned=False).first()
    if mail is None:
        return 0
    try:
        server.send_messages([message_of(mail)])
    except (OSError, smtplib.SMTPException):
        # The server's words may repeat the address; the row says enough.
        server.close()
        _put_off(mail)
        return 0
    mail.sent_at = clock.now()
    mail.save(update_fields=["sent_at"])
    return 1


def _put_off(mail: Mail) -> None:
    mail.attempts += 1
    mail.abandoned = mail.attempts >= MAX_ATTEMPTS
    mail.next_try_at = clock.now() + min(FIRST_WAIT * 2 ** (mail.attempts - 1), LONGEST_WAIT)
    mail.save(update_fields=["attempts", "abandoned", "next_try_at"])


def message_of(mail: Mail) -> EmailMessage:
    """The message of a notice: bilingual, since an account has no language of its own."""
    notice = mail.notice
    title, _ = NOTICES.get(notice.code, (_ANY, _ANY))
    number = notice.reference if _REFERENCE.fullmatch(notice.reference) else ""
    given = str(notice.params.get("due_on", ""))
    day = given if _DAY.fullmatch(given) else ""
    zh = f"{title.zh} {number}".strip() + (f"，{day}" if day else "")
    en = f"{title.en} {number}".strip() + (f", {day}" if day else "")
    body = (
        f"{zh}\n请登录数桥查看。本邮件不含办件内容，请勿回复。\n\n"
        f"{en}\nSign in to Shuqiao to see it. This mail holds no contents of a case; do not reply.\n"
    )
    sender = settings.DEFAULT_FROM_EMAIL
    identity = f"<notice-{notice.pk}-{mail.account_id}@{sender.rpartition('@')[2] or 'shuqiao.invalid'}>"
    return EmailMessage(
        subject=f"[数桥] {title.zh} {number}".strip(),
        body=body,
        from_email=sender,
        to=[mail.account.email],
        headers={"Message-ID": identity, "Auto-Submitted": "auto-generated"},
    )
