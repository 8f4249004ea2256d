"""Filling the form of a request: what can be asked for, what the draft says, and what would follow."""

from datetime import date

from shuqiao.control import clock
from shuqiao.control.accounts.access import NotFound, Viewer
from shuqiao.control.accounts.capabilities import Capability
from shuqiao.control.catalogue import labels as catalogue_labels
from shuqiao.control.catalogue.models import Resource
from shuqiao.control.catalogue.queries import access_resource, item_row
from shuqiao.control.catalogue.sharing import way_of_request
from shuqiao.control.organisations.models import Application, Duty
from shuqiao.control.organisations.queries import application_ref, department_ref
from shuqiao.control.regulations.current import named, regulation
from shuqiao.control.regulations.queries import article_ref, due
from shuqiao.control.requests.actions import SUBMIT
from shuqiao.control.requests.granting import PROVIDED
from shuqiao.control.requests.models import KIND, Request
from shuqiao.control.requests.queries import (
    Condition,
    DraftItem,
    DutyOption,
    Forecast,
    RequestForm,
    WayOf,
)
from shuqiao.control.texts import Text
from shuqiao.rules.regulation import Phase

ANSWERED = "answered"
"""The event that ends a term of reply; regulation files share the word."""


def request_form(viewer: Viewer, resource_id: str) -> RequestForm:
    """Return what the request form of an entry needs, with the viewer's saved draft where there is one."""
    resource = access_resource(viewer, resource_id)
    if not viewer.can(Capability.REQUEST_SUBMIT) or resource.department_id == viewer.department.code:
        raise NotFound
    drafts = Request.objects.filter(created_by_id=viewer.account_id, phase=Phase.DRAFT.value)
    return _form(viewer, resource, drafts.filter(resource=resource).first())


def _form(viewer: Viewer, resource: Resource, draft: Request | None) -> RequestForm:
    chosen = dict(draft.items.values_list("item__field", "reason")) if draft else {}
    own = Application.objects.filter(department_id=viewer.department.code, active=True)
    duties = Duty.objects.filter(department_id=viewer.department.code).order_by("number")
    picked = draft.applications.order_by("id").values_list("id", flat=True) if draft else ()
    rows = [item_row(item, resource.record_key) for item in resource.items.all()]
    return RequestForm(
        draft=draft.pk if draft else None,
        resource=resource.id,
        resource_code=resource.code,
        resource_name=Text(resource.name_zh, resource.name_en),
        provider=department_ref(resource.department),
        article=article_ref(resource.article),
        modes=catalogue_labels.mode_labels(resource.modes),
        mode=draft.mode if draft else resource.modes[0],
        items=tuple(DraftItem(row, row.field in chosen, chosen.get(row.field, "")) for row in rows),
        duties=tuple(duty_option(duty) for duty in duties),
        duty=draft.duty_id if draft else None,
        purpose=draft.purpose if draft else "",
        case_wording=draft.case_wording if draft else "",
        applications=tuple(application_ref(application) for application in own.order_by("-portal", "id")),
        chosen_applications=tuple(picked),
        conditions=conditions(regulation().id),
        accepted_conditions=tuple(draft.accepted_conditions) if draft else (),
        max_period_months=regulation().period.maximum_months,
        wanted_until=draft.wanted_until if draft else None,
        forecast=forecast(clock.today(), regulation().id),
        way=_way(viewer, resource, chosen, draft.mode if draft else resource.modes[0]),
        renews=(draft.renews_id or "") if draft else "",
    )


def _way(viewer: Viewer, resource: Resource, chosen: dict[str, str], mode: str) -> WayOf:
    """How what is chosen now would be dealt with, so that nobody is surprised by it (REQ-03)."""
    rules = regulation()
    way = way_of_request(resource, set(chosen), viewer.department.code, mode, rules)
    names = {item.field: Text(item.zh, item.en) for item in resource.items.all()}
    owner, _, article = way.article.partition(" art. ")
    ref = article_ref(article, owner) if article else article_ref(way.article, rules.id)
    return WayOf(way.kind.value, ref, way.because, tuple(names[one] for one in way.fields if one in names))


def duty_option(duty: Duty) -> DutyOption:
    """Show a registered duty."""
    return DutyOption(duty.pk, duty.number, Text(duty.text_zh, duty.text_en), duty.ground)


def conditions(regulation_id: str) -> tuple[Condition, ...]:
    """Return the conditions of use of a regulation."""
    rules = named(regulation_id)
    return tuple(
        Condition(given.key, Text(given.zh, given.en), article_ref(given.article, rules.id))
        for given in rules.conditions
    )


def forecast(submitted_on: date, regulation_id: str) -> Forecast:
    """Return the latest days of reply and of provision for a request submitted on a day (REQ-15).

    Where the term begins with another step, such as receipt of the written application, that is taken to
    happen on the same day.
    """
    rules = named(regulation_id)
    steps = rules.procedure(KIND).transitions
    answer = next(one for one in rules.deadlines if one.met_by == ANSWERED)
    begins = [step for step in steps if step.event == answer.starts_on]
    other = next(iter(begins), None) if not any(step.action == SUBMIT for step in begins) else None
    reply = due(answer.key, submitted_on, rules)
    provision = next((one for one in rules.deadlines if one.met_by == PROVIDED), None)
    provide = due(provision.key, reply.due_on, rules) if provision else None
    return Forecast(
        reply_due_on=reply.due_on,
        reply_days=answer.working_days,
        provide_due_on=provide.due_on if provide else None,
        provisional=reply.provisional or (provide is not None and provide.provisional),
        starts_with=Text(other.zh, other.en) if other else None,
        article=article_ref(answer.article, rules.id),
        provide_article=article_ref(provision.article, rules.id) if provision else None,
    )
