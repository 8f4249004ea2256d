"""Slower updating in exceptional cases: asked for by the provider, decided by the competent department.

Source: guangzhou-2019 art. 19(4); shenyang-2016 art. 18; UPD-03.
"""

from django.db import transaction

from shuqiao.control import clock
from shuqiao.control.accounts.access import Fault, FormRefused, NotFound, Viewer
from shuqiao.control.accounts.capabilities import Capability
from shuqiao.control.accounts.notices import notify
from shuqiao.control.audit.actions import append_entry
from shuqiao.control.catalogue.models import Resource
from shuqiao.control.compiling.districts import region_of, rules_for
from shuqiao.control.organisations.bodies import COMPETENT, bodies_with
from shuqiao.control.regulations.current import named
from shuqiao.control.texts import Text
from shuqiao.control.updating.access import may_decide, may_provide, published
from shuqiao.control.updating.models import MAX_TEXT_CHARS, Decision, SlowUpdate
from shuqiao.rules.entry_faults import plain_fault
from shuqiao.rules.updating import exception_of

EVENT = "slow_update"


@transaction.atomic
def ask_slower(viewer: Viewer, resource_id: str, reason: str) -> int:
    """Ask that an entry be renewed in windows only, saying why; raises `NotFound` or `FormRefused`.

    A city whose text knows no such exception has no such application.
    """
    resource = published(resource_id)
    rules = rules_for(resource.department_id)
    rule = exception_of(rules.updates)
    if rule is None or not may_provide(viewer, resource.department_id):
        raise NotFound
    # The entry's lock lets one application through at a time.
    Resource.objects.select_for_update().get(pk=resource.id)
    words = said("reason", reason, Text("请写明特殊情况", "Say what is exceptional"))
    if standing_of(resource.id) is not None:
        again = Text("已有申请或批准", "There is an application or an approval already")
        raise FormRefused((Fault("reason", "already_done", again),))
    asked = SlowUpdate.objects.create(
        resource=resource,
        department_id=resource.department_id,
        regulation=rules.id,
        rule=rule.key,
        reason=words,
        asked_by_id=viewer.account_id,
        asked_at=clock.now(),
        entry_id=append_entry(
            EVENT,
            actor=f"account:{viewer.username}",
            at=clock.now(),
            outcome="slow_update_asked",
            department=viewer.department.code,
            provider=resource.department_id,
            resource_id=resource.id,
            facts={"articles": [rules.cite(rule.article)]},
        ),
    )
    offices = [one for one in bodies_with(COMPETENT) if region_of(one) == region_of(resource.department_id)]
    for office in offices:
        _notice(asked, office, "slow_update_asked", Capability.CATALOGUE_REVIEW)
    return asked.pk


@transaction.atomic
def decide_slower(viewer: Viewer, key: int, *, approved: bool, note: str) -> None:
    """Decide on an application; from the day of an approval its windows count. A refusal says why."""
    asked = _locked(key, decision=Decision.ASKED)
    if asked is None or not may_decide(viewer, asked.department_id):
        raise NotFound
    if note.strip() or not approved:
        asked.note = said("note", note, Text("请写明理由", "Say why"))
    asked.decision = Decision.APPROVED if approved else Decision.REFUSED
    asked.decided_by_id, asked.decided_on = viewer.account_id, clock.today()
    asked.save(update_fields=["decision", "decided_by", "decided_on", "note"])
    outcome = "slow_update_approved" if approved else "slow_update_refused"
    _entry(viewer, asked, outcome)
    _notice(asked, asked.department_id, outcome, Capability.DATA_CLEAR)


@transaction.atomic
def end_slower(viewer: Viewer, key: int) -> None:
    """End an approval, or take an application back: the provider, or the office that approved."""
    asked = _locked(key, decision__in=[Decision.ASKED, Decision.APPROVED], ended_on=None)
    if asked is None:
        raise NotFound
    is_own = may_provide(viewer, asked.department_id)
    if not is_own and (asked.decision == Decision.ASKED or not may_decide(viewer, asked.department_id)):
        raise NotFound
    asked.ended_on = clock.today()
    asked.save(update_fields=["ended_on"])
    _entry(viewer, asked, "slow_update_ended")
    if not is_own:
        _notice(asked, asked.department_id, "slow_update_ended", Capability.DATA_CLEAR)


def standing_of(resource: str) -> SlowUpdate | None:
    """The application or approval that stands for an entry now."""
    standing = [Decision.ASKED, Decision.APPROVED]
    return SlowUpdate.objects.filter(resource=resource, decision__in=standing, ended_on=None).first()


def said(field: str, text: str, missing: Text) -> str:
    """Return a text that must be given, plain and not too long; raises `FormRefused`."""
    words = text.strip()
    if not words:
        raise FormRefused((Fault(field, "field_required", missing),))
    wrong = plain_fault(field, words, MAX_TEXT_CHARS)
    if wrong:
        raise FormRefused((Fault(field, wrong.code, Text(wrong.zh, wrong.en)),))
    return words


def _locked(key: int, **such: object) -> SlowUpdate | None:
    rows = SlowUpdate.objects.select_for_update(of=("self",)).select_related("resource")
    return rows.filter(pk=key, **such).first()


def _entry(viewer: Viewer, asked: SlowUpdate, outcome: str) -> None:
    rules = named(asked.regulation)
    rule = exception_of(rules.updates)
    append_entry(
        EVENT,
        actor=f"account:{viewer.username}",
        at=clock.now(),
        outcome=outcome,
        department=viewer.department.code,
        provider=asked.department_id,
        resource_id=asked.resource_id,
        facts={"articles": [rules.cite(rule.article)] if rule else []},
    )


def _notice(asked: SlowUpdate, body: str, code: str, capability: str) -> None:
    resource = asked.resource
    params = {"name_zh": resource.name_zh, "name_en": resource.name_en or resource.name_zh}
    notify(body, code, resource.id, capability=capability, occasion=str(asked.pk), params=params)
