"""By which rule an entry has to be renewed today, and whether slower updating was approved for it."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from shuqiao.control import clock
from shuqiao.control.catalogue.models import Resource
from shuqiao.control.compiling.districts import rules_for
from shuqiao.control.regulations.queries import ArticleRef, article_ref
from shuqiao.control.texts import Text
from shuqiao.control.updating.models import Decision, SlowUpdate
from shuqiao.rules.regulation import Regulation, UpdateRule
from shuqiao.rules.updating import EntryClass, rule_for


@dataclass(frozen=True)
class Duty:
    """The rule of an entry with its words and article; `slow` is the exception it rests on."""

    rules: Regulation
    rule: UpdateRule
    words: Text
    article: ArticleRef
    slow: SlowUpdate | None

    @property
    def window(self) -> UpdateRule | None:
        """The rule whose windows take the place of the entry's cycle."""
        return self.rule if self.slow is not None else None


def duty_of(resource: Resource, on: date | None = None) -> Duty | None:
    """The rule that applies to an entry on a legal day, by default today; None where the city has none."""
    return duties_of([resource], on).get(resource.id)


def duties_of(resources: Iterable[Resource], on: date | None = None) -> dict[str, Duty]:
    """The rules of many entries; one query. An exception counts from the day of its approval."""
    entries, day = list(resources), on or clock.today()
    approved = SlowUpdate.objects.filter(
        resource__in=[one.id for one in entries], decision=Decision.APPROVED, decided_on__lte=day
    )
    slow = {one.resource_id: one for one in approved if one.ended_on is None or one.ended_on > day}
    found = {}
    for entry in entries:
        rules = rules_for(entry.department_id)
        rule = rule_for(rules.updates, class_of(entry), is_exceptional=entry.id in slow)
        if rule is not None:
            exception = slow.get(entry.id) if rule.applies_to == "exceptional" else None
            words, article = Text(rule.zh, rule.en), article_ref(rule.article, rules.id)
            found[entry.id] = Duty(rules, rule, words, article, exception)
    return found


def class_of(resource: Resource) -> EntryClass:
    """What of an entry decides on its rule."""
    return EntryClass(
        resource.library_kind, resource.library, resource.format, tuple(resource.content.get("forms", ()))
    )
