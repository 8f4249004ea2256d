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
    """One attempt to sign in; wrong ones in a row make the name wait.

    The name is kept as a keyed digest only: people type passwords into the wrong box.
    """

    name_key = models.CharField(max_length=40)
    attempted_at = models.DateTimeField()
    succeeded = models.BooleanField()

    class Meta:
        """Looked up by name, newest first."""

        indexes = [models.Index(fields=["name_key", "-attempted_at"], name="attempt_by_name_and_time")]

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
    params = models.JSONField(default=dict)
    created_at = models.DateTimeField()
    read_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        """A repeated job run tells the same thing once; the reference names what it is about."""

        ordering = ["-created_at", "-id"]
        indexes = [models.Index(fields=["department", "-created_at"], name="notice_by_department_and_time")]
        constraints = [
            models.UniqueConstraint(
                fields=["department", "capability", "account", "code", "reference"],
                name="one_notice_per_event",
                nulls_distinct=False,
            )
        ]

    def __str__(self) -> str:
        """Return code and reference."""
        return f"{self.code}:{self.reference}"
