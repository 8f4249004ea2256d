"""Filling the pages of requests: the form, a department's own list, and the inbox."""

from collections.abc import Iterable
from datetime import date

from django.db.models import Count, Q, QuerySet

from shuqiao.control import clock
from shuqiao.control.accounts.access import NotFound, Viewer
from shuqiao.control.accounts.capabilities import Capability
from shuqiao.control.catalogue import labels as catalogue_labels
from shuqiao.control.catalogue.models import Resource
from shuqiao.control.catalogue.queries import access_resource, item_row
from shuqiao.control.grants.models import Grant
from shuqiao.control.organisations.models import Application, Duty
from shuqiao.control.organisations.queries import (
    DepartmentRef,
    application_ref,
    department_ref,
    department_refs,
)
from shuqiao.control.regulations.current import named, regulation
from shuqiao.control.regulations.queries import (
    Clock,
    article_ref,
    clock_of,
    due,
)
from shuqiao.control.requests.labels import state_label
from shuqiao.control.requests.models import STATES, Request
from shuqiao.control.requests.queries import (
    Condition,
    DraftItem,
    DutyOption,
    Forecast,
    RequestForm,
    RequestList,
    RequestRow,
)
from shuqiao.control.texts import Text

PAGE_SIZE = 20


def request_form(viewer: Viewer, resource_id: str) -> RequestForm:
    """Return what the request form of an entry needs, with the viewer's saved draft where there is one."""
    resource = access_resource(viewer, resource_id)
    if not viewer.can(Capability.REQUEST_SUBMIT) or resource.department_id == viewer.department.code:
        raise NotFound
    draft = Request.objects.filter(created_by_id=viewer.account_id, resource=resource, state="draft").first()
    return _form(viewer, resource, draft)


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
    )


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
    """Return the latest days of reply and of provision for a request submitted on a day (REQ-15)."""
    rules = named(regulation_id)
    reply = due("reply", submitted_on, rules)
    provide = due("provide", reply.due_on, rules)
    article = article_ref(rules.deadline("reply").article, rules.id)
    return Forecast(reply.due_on, provide.due_on, reply.provisional or provide.provisional, article)


def my_requests(viewer: Viewer, state: str = "", page: int = 1) -> RequestList:
    """Return the requests of the viewer's department, newest change first; drafts only one's own."""
    if not (viewer.can(Capability.REQUEST_SUBMIT) or viewer.can(Capability.AUDIT_VIEW)):
        raise NotFound
    visible = ~Q(state="draft") | Q(created_by_id=viewer.account_id)
    found = Request.objects.filter(visible, requester_id=viewer.department.code)
    return _list(found, state, page, ("-changed_at", "-pk"))


def inbox(viewer: Viewer, state: str = "", page: int = 1) -> RequestList:
    """Return the requests for the information of the viewer's department, nearest due date first (REQ-08)."""
    if not viewer.can(Capability.REQUEST_ANSWER):
        raise NotFound
    found = Request.objects.filter(provider_id=viewer.department.code, submitted_at__isnull=False)
    return _list(found, state, page, ("decided_at", "reply_due_on", "pk"))


def _list(found: QuerySet[Request], state: str, page: int, order: tuple[str, ...]) -> RequestList:
    counts = dict(found.values_list("state").annotate(count=Count("pk")).order_by())
    chosen = found.filter(state=state) if state in STATES else found
    total = counts.get(state, 0) if state in STATES else sum(counts.values())
    pages = max(1, -(-total // PAGE_SIZE))
    number = max(1, min(page, pages))
    window = chosen.order_by(*order)[(number - 1) * PAGE_SIZE : number * PAGE_SIZE]
    rules = regulation()
    return RequestList(
        rows=request_rows(window),
        total=total,
        page=number,
        pages=pages,
        state=state if state in STATES else "",
        counts=tuple(
            (one.key, Text(one.zh, one.en), counts[one.key])
            for one in rules.procedure("request").states
            if counts.get(one.key)
        ),
    )


def request_rows(found: QuerySet[Request]) -> tuple[RequestRow, ...]:
    """Show requests as rows: three queries, however many they are."""
    departments = department_refs()
    counted = found.select_related("resource").annotate(
        asked=Count("items", distinct=True),
        given=Count("items", filter=Q(items__granted=True), distinct=True),
    )
    requests = list(counted)
    grants = grants_of(request.number for request in requests)
    return tuple(_row(request, departments, grants) for request in requests)


def grants_of(numbers: Iterable[str | None]) -> dict[str, list[str]]:
    """Return the grants that requests have led to, oldest first."""
    found: dict[str, list[str]] = {}
    rows = Grant.objects.filter(request_number__in=[n for n in numbers if n]).order_by("round")
    for request, grant in rows.values_list("request_number", "number"):
        found.setdefault(request, []).append(grant)
    return found


def _row(request: Request, departments: dict[str, DepartmentRef], grants: dict[str, list[str]]) -> RequestRow:
    held = grants.get(request.number or "", [])
    return RequestRow(
        key=request.pk,
        number=request.number or "",
        resource=request.resource_id,
        resource_name=Text(request.resource.name_zh, request.resource.name_en),
        requester=departments[request.requester_id],
        provider=departments[request.provider_id],
        item_count=int(getattr(request, "asked", 0)),
        granted_count=int(getattr(request, "given", 0)),
        mode=request.mode,
        mode_label=catalogue_labels.label(catalogue_labels.MODES, request.mode),
        purpose=request.purpose,
        state=request.state,
        state_label=state_label(request.regulation, request.state),
        submitted_at=request.submitted_at,
        clock=reply_clock(request),
        grant=held[-1] if held else None,
    )


def reply_clock(request: Request) -> Clock | None:
    """Show the term for the reply: running, overdue, or as it stood when the answer was given."""
    if request.submitted_at is None or request.state == "withdrawn":
        return None
    reply = due("reply", clock.legal_day(request.submitted_at), named(request.regulation))
    done_on = clock.legal_day(request.decided_at) if request.decided_at else None
    return clock_of(reply, done_on=done_on)
