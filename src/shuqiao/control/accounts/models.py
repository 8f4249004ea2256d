"""People who sign in, their sign-in attempts, and the notices the pages show them."""

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.db import models
from django.db.models import Q

from shuqiao.control.organisations.models import Department


class AccountManager(BaseUserManager["Account"]):
    """Finds accounts by username; accounts are created by `accounts.actions.create_account` only."""


class Account(AbstractBaseUser):
    """A person of one department with one role of the regulation in force."""

    username = models.CharField(max_length=40, unique=True)
    display_name = models.CharField(max_length=60)
    department = models.ForeignKey(Department, models.PROTECT, related_name="accounts")
    role = models.CharField(max_length=40)
    # Where notices go besides the pages; many have none.
    email = models.EmailField(blank=True)
    is_active = models.BooleanField(default=True)
    created_at = models.DateTimeField()

    objects = AccountManager()

    USERNAME_FIELD = "username"
    REQUIRED_FIELDS = []

    class Meta:
        """Usernames travel as the signed end user of calls: plain ASCII."""

        constraints = [
            models.CheckConstraint(
                condition=Q(username__regex=r"^[a-z][a-z0-9_.-]{1,39}$"), name="username_is_plain"
            )
        ]

    def __str__(self) -> str:
        """Return the username."""
        return self.username


class SignInAttempt(models.Model):
    """One attempt to sign in; wrong ones make name and address wait.

    The name is kept as a keyed digest only: people type passwords into the wrong box. So is the address.
    """

    name_key = models.CharField(max_length=40)
    address_key = models.CharField(max_length=40, default="")
    attempted_at = models.DateTimeField()
    succeeded = models.BooleanField()

    class Meta:
        """Looked up by name and by address, newest first."""

        indexes = [
            models.Index(fields=["name_key", "-attempted_at"], name="attempt_by_name_and_time"),
            models.Index(fields=["address_key", "-attempted_at"], name="attempt_by_address_and_time"),
        ]

    def __str__(self) -> str:
        """Return the time."""
        return self.attempted_at.isoformat()


class Notification(models.Model):
    """Something a department (or one account of it) is told on its pages; the page words it from `code`."""

    department = models.ForeignKey(Department, models.CASCADE, related_name="notifications")
    account = models.ForeignKey(Account, models.CASCADE, null=True, blank=True, related_name="notifications")
    # With a capability only accounts that hold it see the notice.
    capability = models.CharField(max_length=40, blank=True)
    code = models.CharField(max_length=40)
    reference = models.CharField(max_length=60)
    # Tells apart events of one code about one reference: a second reminder, a second round.
    occasion = models.CharField(max_length=60, blank=True)
    params = models.JSONField(default=dict)
    created_at = models.DateTimeField()
    read_at = models.DateTimeField(null=True, blank=True)
    # Whether it has been addressed to those who get mail.
    addressed = models.BooleanField(default=False)

    class Meta:
        """A repeated job run tells the same thing once; the reference names what it is about."""

        ordering = ["-created_at", "-id"]
        indexes = [
            models.Index(fields=["department", "-created_at"], name="notice_by_department_and_time"),
            models.Index(fields=["id"], condition=Q(addressed=False), name="notice_not_addressed"),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["department", "capability", "account", "code", "reference", "occasion"],
                name="one_notice_per_event",
                nulls_distinct=False,
            )
        ]

    def __str__(self) -> str:
        """Return code and reference."""
        return f"{self.code}:{self.reference}"


class Mail(models.Model):
    """One notice on its way to one account's address; sent once, tried again while the server refuses."""

    notice = models.ForeignKey(Notification, models.CASCADE, related_name="mails")
    account = models.ForeignKey(Account, models.CASCADE, related_name="mails")
    attempts = models.PositiveSmallIntegerField(default=0)
    next_try_at = models.DateTimeField()
    sent_at = models.DateTimeField(null=True, blank=True)
    # Tried too often: an operator sees it and the notice still stands on the pages.
    abandoned = models.BooleanField(default=False)

    class Meta:
        """One mail for each notice and account."""

        indexes = [
            models.Index(
                fields=["next_try_at"], condition=Q(sent_at=None, abandoned=False), name="mail_to_send"
            )
        ]
        constraints = [
            models.UniqueConstraint(fields=["notice", "account"], name="one_mail_per_notice"),
            models.CheckConstraint(
                condition=Q(sent_at=None) | Q(abandoned=False), name="sent_mail_is_not_abandoned"
            ),
        ]

    def __str__(self) -> str:
        """Return the keys, not the address."""
        return f"{self.notice_id}:{self.account_id}"
