"""Choosing how an entry and its items are shared, and recording the leading group's ruling.

Each action locks the entry, lets `rules.sharing` decide, and writes choice, version, audit entry and notices
in one transaction. Regulations without share types know none of this.
"""

from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from django.db import transaction

from shuqiao.control import clock
from shuqiao.control.accounts.access import Fault, FormRefused, NotFound, Viewer, require
from shuqiao.control.accounts.capabilities import Capability
from shuqiao.control.accounts.notices import notify
from shuqiao.control.audit.actions import append_entry
from shuqiao.control.catalogue.entries import entry_from
from shuqiao.control.catalogue.history import keep_version
from shuqiao.control.catalogue.models import Item, Resource, Sharing, SharingOrigin
from shuqiao.control.catalogue.queries import access_resource
from shuqiao.control.catalogue.sharing import Current, current, may_rule
from shuqiao.control.organisations.models import Department
from shuqiao.control.regulations.current import regulation
from shuqiao.control.regulations.wording import refusal_words
from shuqiao.control.texts import Text
from shuqiao.rules import sharing as rules
from shuqiao.rules.entries import is_shared
from shuqiao.rules.errors import EntryChanged, PermissionDenied
from shuqiao.rules.procedures import Refusal
from shuqiao.rules.regulation import SETTING, Phase, Regulation

MAX_GROUND_CHARS = 500
MAX_CONDITIONS_CHARS = 500
MAX_DOCUMENT_CHARS = 200
CHOOSE = Text("选定共享类型", "Choose the share type")
RULE = Text("记录共享类型核定", "Record a ruling on the share type")


@dataclass(frozen=True)
class ChoiceInput:
    """A choice as its form gives it; `item` is empty for the entry, `version` is what it was read from."""

    resource: str
    item: str
    version: int
    choice: rules.Choice


@dataclass(frozen=True)
class RulingInput:
    """A ruling of the leading group as its form gives it."""

    resource: str
    version: int
    document: str
    decided_on: date | None


@transaction.atomic
def choose_share_type(viewer: Viewer, given: ChoiceInput) -> int:
    """Say how an entry, or one item of it, is shared; return the entry's new version.

    Raises `PermissionDenied` for anybody but the providing department's, `EntryChanged` for whoever comes
    second, and `FormRefused` with what a rule demands. Source: guangzhou-2019-165 art. 10; TYP-01 to TYP-08.
    """
    in_force = regulation()
    resource = _locked(viewer, given.resource, in_force)
    _require_provider(viewer, resource)
    _refuse_stale(resource, given.version)
    at = current([resource])[resource.id]
    item = _item(resource, given.item)
    chosen = _decide(given, at, item, in_force)
    note = Text("共享类型调整", "Share type changed")
    version = _next_version(resource, note, _said(resource, given.item, chosen.choice))
    row = Sharing(resource=resource, item=item, origin=SharingOrigin.PROVIDER, set_by_id=viewer.account_id)
    _fill(row, chosen, in_force, version)
    _replace(at.items.get(given.item) if item else at.entry, row, viewer)
    _tell_users(resource, version)
    return version


@transaction.atomic
def follow_entry(viewer: Viewer, resource_id: str, item_field: str, version: int) -> int:
    """Let an item be shared as its entry is; return the entry's new version."""
    resource = _locked(viewer, resource_id, regulation())
    _require_provider(viewer, resource)
    _refuse_stale(resource, version)
    row = current([resource])[resource.id].items.get(item_field)
    if row is None:
        raise NotFound
    note = Text("信息项改随条目共享", "An item is shared as its entry again")
    changed = _next_version(resource, note, _said(resource, item_field, rules.Choice()))
    Sharing.objects.filter(pk=row.pk).update(ended_at=clock.now())
    _append(resource, viewer, "follows_entry", {"item": item_field, "version": changed})
    _tell_users(resource, changed)
    return changed


@transaction.atomic
def rule_open(viewer: Viewer, given: RulingInput) -> int:
    """Record the ruling that an entry is shared with all; it goes before the provider's choice (TYP-07).

    Source: shenyang-2016 art. 10(2), 5(1).
    """
    in_force = regulation()
    resource = _locked(viewer, given.resource, in_force)
    widest = rules.open_type(in_force)
    if widest is None or not may_rule(viewer, in_force):
        raise PermissionDenied(action=str(RULE))
    _refuse_stale(resource, given.version)
    _check_ruling(given, resource)
    note = Text("领导小组核定无条件共享", "Ruled open by the leading group")
    version = _next_version(resource, note, resource.content, ruled=True)
    row = Sharing(
        resource=resource,
        origin=SharingOrigin.RULING,
        document=given.document.strip()[:MAX_DOCUMENT_CHARS],
        decided_on=given.decided_on,
        set_by_id=viewer.account_id,
    )
    article = in_force.cite(in_force.share_types.ruled_by_article)
    _fill(row, rules.Chosen(widest, rules.Choice(widest.key), article), in_force, version)
    _replace(None, row, viewer, article)
    notify(
        resource.department_id,
        "share_type_ruled",
        f"{resource.id} v{version}",
        capability=Capability.CATALOGUE_EDIT,
        params={"resource": resource.id, "document": row.document},
    )
    _tell_users(resource, version)
    return version


def _locked(viewer: Viewer, resource_id: str, in_force: Regulation) -> Resource:
    """Return a visible entry, locked until the transaction ends; where no types are named, there is none."""
    access_resource(viewer, resource_id)
    if not in_force.share_types.types:
        raise NotFound
    return Resource.objects.select_for_update(of=("self",)).get(id=resource_id)


def _require_provider(viewer: Viewer, resource: Resource) -> None:
    require(viewer, Capability.CATALOGUE_EDIT, CHOOSE)
    if resource.department_id != viewer.department.code:
        raise PermissionDenied(action=str(CHOOSE))


def _refuse_stale(resource: Resource, version: int) -> None:
    if resource.version != version:
        rules = regulation()
        article = rules.cite(rules.citations.get("catalogue_entry", SETTING))
        raise EntryChanged(entry=resource.name_zh, rule=article)


def _item(resource: Resource, name: str) -> Item | None:
    if not name:
        return None
    item = resource.items.filter(field=name).first()
    if item is None:
        raise NotFound
    return item


def _decide(given: ChoiceInput, at: Current, item: Item | None, in_force: Regulation) -> rules.Chosen:
    """Let the rules decide, for an entry together with the items that differ from it."""
    choice = _bounded(given.choice, in_force)
    faults = _unknown_departments(choice)
    relations = frozenset(at.entry.relations) if at.entry else frozenset()
    if item is not None:
        choices = rules.Choices(rules.Choice(relations=relations), {item.field: choice})
        decision = rules.decide_choices(choices, {"": at.subject(), item.field: at.subject(item)}, in_force)[
            item.field
        ]
    else:
        decision = rules.decide_choice(choice, at.subject(), in_force)
        faults += _clashes(choice, at, in_force)
    if isinstance(decision, Refusal):
        faults.insert(0, _fault(decision))
    if faults or isinstance(decision, Refusal):
        raise FormRefused(tuple(faults))
    return decision


def _clashes(choice: rules.Choice, at: Current, in_force: Regulation) -> list[Fault]:
    """The items whose own type a relation of the entry, named now, no longer allows."""
    rows = {field: replace(_choice_of(row), relations=choice.relations) for field, row in at.items.items()}
    faults = []
    for field, own in rows.items():
        decision = rules.decide_choice(own, at.subject(at.items[field].item), in_force)
        if isinstance(decision, Refusal) and decision.code == "share_type_forced":
            faults.append(replace(_fault(decision), field="relations"))
    return faults


def _choice_of(row: Sharing) -> rules.Choice:
    return rules.Choice(
        row.share_type,
        row.ground,
        row.ground_rank,
        row.conditions,
        frozenset(row.departments),
        frozenset(row.relations),
    )


def _bounded(choice: rules.Choice, in_force: Regulation) -> rules.Choice:
    known = {relation.key for relation in in_force.share_types.relations}
    return replace(
        choice,
        ground=choice.ground[:MAX_GROUND_CHARS],
        conditions=choice.conditions[:MAX_CONDITIONS_CHARS],
        relations=choice.relations & known,
    )


def _unknown_departments(choice: rules.Choice) -> list[Fault]:
    known = Department.objects.filter(code__in=choice.departments, active=True).count()
    if known == len(choice.departments):
        return []
    words = Text("所列部门不在平台上", "A department is not on the platform")
    return [Fault("departments", "department_unknown", words)]


def _fault(refusal: Refusal) -> Fault:
    return Fault(refusal.field, refusal.code, refusal_words(refusal))


def _check_ruling(given: RulingInput, resource: Resource) -> None:
    faults = []
    if not given.document.strip():
        words = Text("请填写核定文件的名称或文号", "Name the document of the ruling")
        faults.append(Fault("document", "field_required", words))
    if given.decided_on is None or given.decided_on > clock.today():
        words = Text("请填写核定日期，不晚于今天", "Give the day of the ruling, not after today")
        faults.append(Fault("decided_on", "field_required", words))
    if resource.sharings.filter(origin=SharingOrigin.RULING, ended_at=None).exists():
        words = Text("该条目已有核定", "The entry has been ruled on already")
        faults.append(Fault("document", "already_decided", words))
    if faults:
        raise FormRefused(tuple(faults))


def _said(resource: Resource, item: str, choice: rules.Choice) -> dict[str, Any]:
    """What the entry says once this choice stands."""
    content: dict[str, Any] = dict(resource.content)
    if item:
        own = [
            {**one, "share_type": choice.share_type} if one["field"] == item else one
            for one in content["items"]
        ]
        return {**content, "items": own}
    return {
        **content,
        "share_type": choice.share_type,
        "ground": choice.ground,
        "ground_rank": choice.ground_rank,
        "conditions": choice.conditions,
        "shared_with": sorted(choice.departments),
        "relations": sorted(choice.relations),
    }


def _next_version(resource: Resource, note: Text, content: dict[str, Any], *, ruled: bool = False) -> int:
    """Give the entry its next version; a ruling keeps it in the sharing catalogue, whatever its type."""
    ruled = ruled or Sharing.objects.filter(resource=resource, origin="ruling", ended_at=None).exists()
    keep_version(resource, content, note, shared=ruled or is_shared(entry_from(content), regulation()))
    return resource.version


def _fill(row: Sharing, chosen: rules.Chosen, in_force: Regulation, version: int) -> None:
    row.regulation = in_force.id
    row.share_type, row.openness = chosen.share_type.key, chosen.share_type.openness
    row.ground, row.ground_rank = chosen.choice.ground, chosen.choice.ground_rank
    row.conditions = chosen.choice.conditions
    row.departments = sorted(chosen.choice.departments)
    row.relations = sorted(chosen.choice.relations)
    row.version, row.set_at = version, clock.now()


def _replace(old: Sharing | None, row: Sharing, viewer: Viewer, article: str = "") -> None:
    """End the earlier choice, store the new one with its audit entry."""
    in_force = regulation()
    named = in_force.share_types.named(row.share_type)
    if old is not None:
        Sharing.objects.filter(pk=old.pk).update(ended_at=row.set_at)
    row.entry_id = _append(
        row.resource,
        viewer,
        row.share_type,
        {
            "item": row.item.field if row.item else "",
            "version": row.version,
            "before": old.share_type if old else "",
            "origin": row.origin,
            "ground": row.ground,
            "ground_rank": row.ground_rank,
            "conditions": row.conditions,
            "departments": row.departments,
            "relations": row.relations,
            "document": row.document,
            "regulation": row.regulation,
            "articles": [article or (in_force.cite(named.article) if named else "")],
        },
    )
    row.save(force_insert=True)


def _append(resource: Resource, viewer: Viewer, outcome: str, facts: dict[str, object]) -> str:
    return str(
        append_entry(
            "share_type_set",
            actor=f"account:{viewer.username}",
            at=clock.now(),
            outcome=outcome,
            department=viewer.department.code,
            provider=resource.department_id,
            resource_id=resource.id,
            facts=facts,
        )
    )


def _tell_users(resource: Resource, version: int) -> None:
    """Tell the departments that hold a grant: what they have stays, what they may ask for has changed."""
    in_use = resource.grants.filter(phase=Phase.GRANTED.value)
    for holder in in_use.values_list("consumer_id", flat=True).distinct():
        notify(
            holder,
            "share_type_changed",
            f"{resource.id} v{version}",
            capability=Capability.REQUEST_SUBMIT,
            params={"resource": resource.id},
        )
