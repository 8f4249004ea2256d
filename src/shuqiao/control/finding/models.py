"""What readers keep: searches, entries they follow, and up to where they have been told of changes."""

from django.db import models
from django.db.models import Q

from shuqiao.control.accounts.models import Account
from shuqiao.control.catalogue.models import Resource, SharingVersion


class SavedSearch(models.Model):
    """A search that an account keeps under a name; `watched` tells it of changes among the results."""

    account = models.ForeignKey(Account, models.CASCADE, related_name="saved_searches")
    name = models.CharField(max_length=40)
    text = models.CharField(max_length=60, blank=True)
    filters = models.JSONField(default=dict)
    sort = models.CharField(max_length=10)
    own = models.BooleanField(default=False)
    plain = models.BooleanField(default=False)
    watched = models.BooleanField(default=False)
    created_at = models.DateTimeField()

    class Meta:
        """A name is used once by an account."""

        ordering = ["-created_at", "-id"]
        indexes = [models.Index(fields=["id"], condition=Q(watched=True), name="search_watched")]
        constraints = [models.UniqueConstraint(fields=["account", "name"], name="one_search_of_a_name")]

    def __str__(self) -> str:
        """Return the key, not the words."""
        return f"search {self.pk}"


class FollowedEntry(models.Model):
    """An entry whose changes an account is told of."""

    account = models.ForeignKey(Account, models.CASCADE, related_name="followed_entries")
    resource = models.ForeignKey(Resource, models.CASCADE, related_name="followers")
    created_at = models.DateTimeField()

    class Meta:
        """Once for an account."""

        ordering = ["-created_at", "-id"]
        constraints = [models.UniqueConstraint(fields=["account", "resource"], name="entry_followed_once")]

    def __str__(self) -> str:
        """Return the keys."""
        return f"{self.account_id}:{self.resource_id}"


class Told(models.Model):
    """A change of the sharing catalogue whose followers have been told; those before the mark have no row."""

    version = models.OneToOneField(SharingVersion, models.CASCADE, primary_key=True, related_name="told")
    told_at = models.DateTimeField()

    def __str__(self) -> str:
        """Return the version's key."""
        return str(self.version_id)


class ToldMark(models.Model):
    """The one row that says up to which change everything has been told."""

    up_to = models.BigIntegerField(default=0)

    class Meta:
        """There is one."""

        constraints = [models.CheckConstraint(condition=Q(id=1), name="one_mark_of_what_was_told")]

    def __str__(self) -> str:
        """Return the mark."""
        return str(self.up_to)
