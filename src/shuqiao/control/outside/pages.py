"""What the pages show of requests outside the catalogue and requests to publish."""

from dataclasses import dataclass
from datetime import datetime

from django.db.models import Q, QuerySet

from shuqiao.control.accounts.access import NotFound, Viewer, require
from shuqiao.control.accounts.capabilities import Capability
from shuqiao.control.catalogue.models import Item
from shuqiao.control.clocks.queries import CaseClock, clocks_of
from shuqiao.control.disputes.models import Dispute
from shuqiao.control.grants.terms import GrantView, grant_view
from shuqiao.control.organisations.models import Department, Duty
from shuqiao.control.organisations.queries import DepartmentRef, department_ref
from shuqiao.control.outside.access import AnyCase, Case, access_case, kind_of, sides_of, visible
from shuqiao.control.outside.actions import AMENDED, ASK, MINUTES, PUBLISH, SAVE, SUBMIT, refuse_passing_on
from shuqiao.control.outside.disputed import SETTLED_YES
from shuqiao.control.outside.inputs import held_grant
from shuqiao.control.outside.models import CaseEvent, OutsideRequest, Publication
from shuqiao.control.regulations.current import named, regulation
from shuqiao.control.regulations.queries import ArticleRef, article_ref
from shuqiao.control.texts import Text
from shuqiao.rules.procedures import possible_actions
from shuqiao.rules.regulation import PROVIDER, REQUESTER, SETTING, Phase, Transition

PAGE_SIZE = 20

_OWN_ACTIONS = {
    MINUTES: Text("记录协商", "Negotiation recorded"),
    AMENDED: Text("更新需求", "Demand brought up to date"),
    SETTLED_YES: Text("争议处理决定：应当提供", "Dispute decided: to be provided"),
}
WORDS = {
    "reason": Text("理由", "Reason"),
    "result": Text("结果", "Result"),
    "minutes": Text("协商记录", "Minutes"),
    "dispute": Text("争议", "Dispute"),
    "wanted": Text("所需信息", "Information wanted"),
    "purpose": Text("用途", "Purpose"),
    "before": Text("原为", "Before"),
}
"""How the words of a step are called on the pages; others show themselves."""


@dataclass(frozen=True)
class CaseRow:
    """One case of a list; `key` is that of a draft, which has no number."""

    key: int
    number: str
    title: str
    other: DepartmentRef
    state: str
    state_label: Text
    phase: str
    changed_at: datetime


@dataclass(frozen=True)
class CaseList:
    """A page of cases; `received` are those asked of the viewer's department."""

    rows: tuple[CaseRow, ...]
    received: bool
    page: int
    pages: int
    total: int


@dataclass(frozen=True)
class StepOffer:
    """A step the viewer may take now, with the words the law wants for it."""

    action: str
    label: Text
    needs: tuple[tuple[str, Text], ...]
    article: ArticleRef
    ends_badly: bool


@dataclass(frozen=True)
class EventRow:
    """One step of the history with what was said."""

    label: Text
    state: Text
    by: str
    department: DepartmentRef | None
    at: datetime
    words: tuple[tuple[Text, str], ...]
    article: ArticleRef
    entry: str


@dataclass(frozen=True)
class CaseView:
    """Everything a case's page shows; fields of the other kind are empty."""

    kind: str
    number: str
    state: str
    state_label: Text
    phase: str
    requester: DepartmentRef
    provider: DepartmentRef
    received: bool
    wanted: str
    duty: Text | None
    ground: str
    purpose: str
    grant: str
    resource: str
    resource_name: Text | None
    terms: GrantView | None
    items: tuple[Text, ...]
    content: str
    audience: str
    channel: str
    published: str
    published_at: datetime | None
    submitted_at: datetime | None
    by: str
    clocks: tuple[CaseClock, ...]
    disputes: tuple[str, ...]
    steps: tuple[StepOffer, ...]
    can_talk: bool
    can_amend: bool
    history: tuple[EventRow, ...]
    article: ArticleRef


@dataclass(frozen=True)
class DraftForm:
    """What the form of a request outside the catalogue needs, with the draft where there is one."""

    draft: OutsideRequest | None
    holders: tuple[DepartmentRef, ...]
    duties: tuple[Duty, ...]
    article: ArticleRef


@dataclass(frozen=True)
class PublicationForm:
    """What the form of a request to publish needs: the grant, its items, the draft where there is one."""

    draft: Publication | None
    grant: str
    provider: DepartmentRef
    resource_name: Text
    items: tuple[tuple[str, Text], ...]
    article: ArticleRef


def outside_list(viewer: Viewer, *, received: bool, page: int) -> CaseList:
    """List requests outside the catalogue, those of the viewer's department or those asked of it."""
    _require_involved(viewer)
    found = _side(visible(viewer, OutsideRequest), viewer, received=received)
    total = found.count()
    rows = tuple(_row(case, case.wanted, received=received) for case in _cut(found, page))
    return CaseList(rows, received, page, max(1, -(-total // PAGE_SIZE)), total)


def publication_list(viewer: Viewer, *, received: bool, page: int) -> CaseList:
    """List requests to publish; raises `PassingOnRefused` where the regulation knows no such consent.

    Cases of an earlier regulation stay to be seen.
    """
    _require_involved(viewer)
    everything = visible(viewer, Publication)
    if not everything.exists():
        refuse_passing_on(regulation())
    found = _side(everything, viewer, received=received)
    total = found.count()
    rows = tuple(_row(case, case.content, received=received) for case in _cut(found, page))
    return CaseList(rows, received, page, max(1, -(-total // PAGE_SIZE)), total)


def _require_involved(viewer: Viewer) -> None:
    """Raise `NotFound` for a role that neither asks nor answers nor supervises."""
    involved = (
        Capability.REQUEST_SUBMIT,
        Capability.REQUEST_ANSWER,
        Capability.AUDIT_VIEW,
        Capability.AUDIT_VIEW_ALL,
        Capability.DISPUTE_COORDINATE,
    )
    if not any(viewer.can(capability) for capability in involved):
        raise NotFound


def _side(found: QuerySet[AnyCase], viewer: Viewer, *, received: bool) -> QuerySet[AnyCase]:
    """Choose the cases asked of the viewer's department, or all others it may see."""
    own = Q(provider_id=viewer.department.code)
    chosen = found.filter(own) if received else found.exclude(own)
    return chosen.select_related("requester", "provider").order_by("-changed_at", "-pk")


def _cut(found: QuerySet[AnyCase], page: int) -> list[AnyCase]:
    return list(found[(page - 1) * PAGE_SIZE : page * PAGE_SIZE])


def _row(case: Case, title: str, *, received: bool) -> CaseRow:
    return CaseRow(
        key=case.pk,
        number=case.number or "",
        title=title,
        other=department_ref(case.requester if received else case.provider),
        state=case.state,
        state_label=_state_label(case, case.state),
        phase=case.phase,
        changed_at=case.changed_at,
    )


def outside_form(viewer: Viewer, draft: int | None = None) -> DraftForm:
    """Return what the form of a request outside the catalogue needs."""
    require(viewer, Capability.REQUEST_SUBMIT, ASK)
    own = viewer.department.code
    kept = OutsideRequest.objects.filter(requester_id=own, number=None, phase=Phase.DRAFT.value)
    found = kept.filter(pk=draft).first() if draft is not None else None
    if draft is not None and found is None:
        raise NotFound
    holders = Department.objects.filter(active=True).exclude(code=own).order_by("code")
    return DraftForm(
        draft=found,
        holders=tuple(department_ref(one) for one in holders),
        duties=tuple(Duty.objects.filter(department_id=own).order_by("number")),
        article=_sent_article(regulation().id, "outside"),
    )


def publication_form(viewer: Viewer, grant_number: str, draft: int | None = None) -> PublicationForm:
    """Return what the form of a request to publish needs; the grant is the viewer's department's own."""
    require(viewer, Capability.REQUEST_SUBMIT, PUBLISH)
    refuse_passing_on(regulation())
    own = Publication.objects.filter(requester_id=viewer.department.code, number=None)
    found = own.filter(pk=draft, phase=Phase.DRAFT.value).first() if draft is not None else None
    if draft is not None and found is None:
        raise NotFound
    grant = held_grant(viewer, found.grant_id if found else grant_number)
    items = Item.objects.filter(resource_id=grant.resource_id, field__in=grant.fields)
    return PublicationForm(
        draft=found,
        grant=grant.number,
        provider=department_ref(grant.provider),
        resource_name=grant.resource.name,
        items=tuple((item.field, item.name) for item in items.order_by("number", "part")),
        article=_sent_article(regulation().id, "publication"),
    )


def outside_case(viewer: Viewer, number: str) -> CaseView:
    """Return the page of a request outside the catalogue."""
    return _view(viewer, access_case(viewer, OutsideRequest, number))


def publication_case(viewer: Viewer, number: str) -> CaseView:
    """Return the page of a request to publish."""
    return _view(viewer, access_case(viewer, Publication, number))


def _view(viewer: Viewer, case: Case) -> CaseView:
    kind, number = kind_of(case), case.number or ""
    outside = case if isinstance(case, OutsideRequest) else None
    publication = case if isinstance(case, Publication) else None
    duty = outside.duty if outside else None
    disputes = Dispute.objects.filter(case_kind=kind, case_number=number).order_by("number")
    return CaseView(
        kind=kind,
        number=number,
        state=case.state,
        state_label=_state_label(case, case.state),
        phase=case.phase,
        requester=department_ref(case.requester),
        provider=department_ref(case.provider),
        received=case.provider_id == viewer.department.code,
        wanted=outside.wanted if outside else "",
        duty=Text(duty.text_zh, duty.text_en) if duty else None,
        ground=duty.ground if duty else "",
        purpose=case.purpose,
        grant=publication.grant_id if publication else "",
        resource=publication.grant.resource_id if publication else "",
        resource_name=_resource_name(publication),
        terms=grant_view(publication.grant) if publication else None,
        items=_items(publication),
        content=publication.content if publication else "",
        audience=publication.audience if publication else "",
        channel=publication.channel if publication else "",
        published=publication.published if publication else "",
        published_at=publication.published_at if publication else None,
        submitted_at=case.submitted_at,
        by=case.created_by.display_name,
        clocks=clocks_of(kind, [number]).get(number, ()),
        disputes=tuple(disputes.values_list("number", flat=True)),
        steps=_offers(viewer, case),
        can_talk=_can_talk(viewer, case),
        can_amend=_can_amend(viewer, case),
        history=_history(case),
        article=_sent_article(case.regulation, kind),
    )


def _resource_name(publication: Publication | None) -> Text | None:
    if publication is None:
        return None
    return publication.grant.resource.name


def _items(publication: Publication | None) -> tuple[Text, ...]:
    if publication is None:
        return ()
    found = Item.objects.filter(resource_id=publication.grant.resource_id, field__in=publication.fields)
    return tuple(item.name for item in found.order_by("number", "part"))


def _offers(viewer: Viewer, case: Case) -> tuple[StepOffer, ...]:
    """The steps the viewer may take now, as the case's own regulation has them."""
    procedure = named(case.regulation).procedure(kind_of(case))
    found = possible_actions(procedure, case.state, viewer.capabilities, sides_of(viewer, case))
    return tuple(_offer(case, step) for step in found if step.action not in (SAVE, SUBMIT))


def _offer(case: Case, step: Transition) -> StepOffer:
    rules = named(case.regulation)
    state = rules.procedure(kind_of(case)).state(step.to_state)
    return StepOffer(
        action=step.action,
        label=Text(step.zh, step.en),
        needs=tuple((word, WORDS.get(word, Text(word, word))) for word in step.requires if word in WORDS),
        article=article_ref(step.article, rules.id),
        ends_badly=state is not None and state.phase in (Phase.REFUSED, Phase.CLOSED, Phase.DISPUTED),
    )


def _can_talk(viewer: Viewer, case: Case) -> bool:
    if kind_of(case) != "outside" or case.phase not in (Phase.WAITING, Phase.DISPUTED):
        return False
    sides = sides_of(viewer, case)
    return (PROVIDER in sides and viewer.can(Capability.REQUEST_ANSWER)) or (
        REQUESTER in sides and viewer.can(Capability.REQUEST_SUBMIT)
    )


def _can_amend(viewer: Viewer, case: Case) -> bool:
    waiting = kind_of(case) == "outside" and case.phase == Phase.WAITING
    return waiting and REQUESTER in sides_of(viewer, case) and viewer.can(Capability.REQUEST_SUBMIT)


def _history(case: Case) -> tuple[EventRow, ...]:
    rows = CaseEvent.objects.filter(kind=kind_of(case), number=case.number or "")
    return tuple(_event(case, row) for row in rows.select_related("account", "department"))


def _event(case: Case, row: CaseEvent) -> EventRow:
    known = named(case.regulation).procedure(kind_of(case)).action(row.action)
    own = _OWN_ACTIONS.get(row.action, Text(row.action, row.action))
    return EventRow(
        label=Text(known.zh, known.en) if known else own,
        state=_state_label(case, row.to_state),
        by=row.account.display_name if row.account else "",
        department=department_ref(row.department) if row.department else None,
        at=row.occurred_at,
        words=tuple((WORDS.get(key, Text(key, key)), str(text)) for key, text in row.words.items()),
        article=article_ref(row.article, case.regulation),
        entry=str(row.entry_id),
    )


def _state_label(case: Case, key: str) -> Text:
    state = named(case.regulation).procedure(kind_of(case)).state(key)
    return Text(state.zh, state.en) if state else Text(key, key)


def _sent_article(regulation_id: str, kind: str) -> ArticleRef:
    rules = named(regulation_id)
    sent = rules.procedure(kind).action(SUBMIT)
    return article_ref(sent.article if sent else SETTING, rules.id)
