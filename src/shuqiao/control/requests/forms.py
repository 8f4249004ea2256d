"""Filling the form of a request: what can be asked for, what the draft says, and what would follow."""

from collections.abc import Collection, Iterable, Mapping
from datetime import date
from typing import Any

from shuqiao.control import clock
from shuqiao.control.accounts.access import NotFound, Viewer
from shuqiao.control.accounts.capabilities import Capability
from shuqiao.control.catalogue import labels as catalogue_labels
from shuqiao.control.catalogue.models import Resource
from shuqiao.control.catalogue.offering import masked, offer_of
from shuqiao.control.catalogue.platforms import platform_view, rows_of_own_district
from shuqiao.control.catalogue.queries import access_resource, item_row
from shuqiao.control.catalogue.sharing import way_of_request
from shuqiao.control.files.granting import file_words, files_granted
from shuqiao.control.grants.terms import TermsView, channel_words, row_words
from shuqiao.control.interfaces.granting import offered_modes, operation_words, operations_granted
from shuqiao.control.organisations.models import Application, Duty
from shuqiao.control.organisations.queries import application_ref, department_ref
from shuqiao.control.regulations.current import named, regulation
from shuqiao.control.regulations.queries import ArticleRef, article_ref, due
from shuqiao.control.requests.actions import SUBMIT
from shuqiao.control.requests.granting import PROVIDED
from shuqiao.control.requests.inputs import AnswerInput
from shuqiao.control.requests.models import KIND, Request
from shuqiao.control.requests.platforms import others_to_ask
from shuqiao.control.requests.queries import (
    ChannelOption,
    Condition,
    DraftItem,
    DutyOption,
    Forecast,
    RequestForm,
    RowEditor,
    WayOf,
)
from shuqiao.control.requests.row_editor import lines_of
from shuqiao.control.requests.terms import asked_terms, reviewed_where_needed
from shuqiao.control.texts import Text
from shuqiao.rules.channels import CHANNELS, OF_MODE, usual
from shuqiao.rules.regulation import Phase, Regulation
from shuqiao.rules.rows import Row
from shuqiao.rules.terms import Offer, Terms

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
    """Fill the form of an entry with a draft; its last call has a line for each field of the form."""
    chosen = dict(draft.items.values_list("item__field", "reason")) if draft else {}
    rules, modes = regulation(), offered_modes(resource)
    mode = draft.mode if draft else modes[0]
    offer = offer_of(resource, rules)
    usual_terms = Terms(mode, usual(mode, offer.channels), rows_of_own_district(viewer, resource))
    terms = asked_terms(draft) if draft else usual_terms
    own = Application.objects.filter(department_id=viewer.department.code, active=True)
    duties = Duty.objects.filter(department_id=viewer.department.code).order_by("number")
    picked = draft.applications.order_by("id").values_list("id", flat=True) if draft else ()
    return RequestForm(
        draft=draft.pk if draft else None,
        resource=resource.id,
        resource_code=resource.code,
        resource_name=resource.name,
        provider=department_ref(resource.department),
        article=article_ref(resource.article),
        modes=catalogue_labels.mode_labels(modes),
        mode=mode,
        items=_draft_items(resource, draft, chosen, offer.masked),
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
        way=_way(viewer, resource, chosen, terms),
        channels=channel_options(_usable(offer.channels, modes), terms.channels),
        interface_only=_only_interface(offer, rules),
        masked_article=article_ref(rules.citations["marked_items"], rules.id),
        editor=row_editor(terms.rows, resource),
        kept_rows=terms.rows,
        terms=asked_view(terms, resource, rules, chosen),
        renews=(draft.renews_id or "") if draft else "",
        at=platform_view(viewer, resource),
        others=others_to_ask(viewer, resource),
    )


def _draft_items(
    resource: Resource, draft: Request | None, chosen: Mapping[str, str], masked: Collection[str]
) -> tuple[DraftItem, ...]:
    """The items of an entry to choose from; `chosen` are those of the draft with their reasons."""
    clear = dict(draft.items.values_list("item__field", "unmask_reason")) if draft else {}
    rows = [item_row(item, resource.record_key) for item in resource.items.all()]
    return tuple(
        DraftItem(
            item=row,
            chosen=row.field in chosen,
            reason=chosen.get(row.field, ""),
            masked=row.field in masked,
            unmask_reason=clear.get(row.field, ""),
        )
        for row in rows
    )


def _usable(channels: Collection[str], modes: Iterable[str]) -> set[str]:
    """The channels that one of the modes can use."""
    return {one for mode in modes for one in OF_MODE[mode]} & set(channels)


def channel_options(offered: Collection[str], chosen: Collection[str]) -> tuple[ChannelOption, ...]:
    """The channels to choose from, with those that are chosen."""
    return tuple(
        ChannelOption(one, catalogue_labels.CHANNELS[one], one in chosen, one not in OF_MODE["query"])
        for one in CHANNELS
        if one in offered
    )


def row_editor(rows: Iterable[Row], resource: Resource) -> RowEditor:
    """The editor of row conditions over the plain items of an entry, filled with these."""
    items = {item.field: item for item in resource.items.all() if not item.identity and item.type != "image"}
    fields = tuple((item.field, item.name) for item in items.values())
    return RowEditor(tuple(lines_of(rows, items)) if items else (), fields)


def asked_view(
    terms: Terms,
    resource: Resource,
    rules: Regulation,
    fields: Collection[str],
    answer: AnswerInput | None = None,
) -> TermsView:
    """Word the terms that a request has, or with an answer those that it proposes, for these items."""
    items = {item.field: item for item in resource.items.all()}
    hidden = [] if terms.mode == "verify" else [items[one] for one in fields if one in items]
    hidden = [one for one in hidden if masked(one, rules)]
    names = [(one.field in terms.unmasked, one.name) for one in hidden]
    return TermsView(
        channels=channel_words(terms.channels),
        rows=row_words(terms.rows, items),
        unmasked=tuple(name for clear, name in names if clear),
        masked=tuple(name for clear, name in names if not clear),
        mode=catalogue_labels.label(catalogue_labels.MODES, terms.mode) if answer else None,
        **(_said(answer, resource, terms, fields) if answer else {}),
    )


def _said(answer: AnswerInput, resource: Resource, terms: Terms, fields: Collection[str]) -> dict[str, Any]:
    """What only an answer says: how it matches, what each use needs, which operations and files it opens."""
    opened = operations_granted(resource.id, terms.mode, fields, terms.unmasked, answer.operations or ())
    return {
        "pseudonyms": answer.pseudonyms and terms.mode != "verify",
        "signed_calls": answer.signed_calls and terms.mode != "bulk",
        "match": answer.match if terms.mode == "verify" else "",
        "case_required": answer.case_required,
        "operations": operation_words(resource.id, opened),
        "files": file_words(resource.id, files_granted(terms.mode, answer.files)),
    }


def _only_interface(offer: Offer, rules: Regulation) -> ArticleRef | None:
    only = rules.exchange.interface_only
    return article_ref(only.article, rules.id) if offer.channel_article and only else None


def _way(viewer: Viewer, resource: Resource, chosen: dict[str, str], terms: Terms) -> WayOf:
    """How what is chosen now would be dealt with, so that nobody is surprised by it (REQ-03)."""
    rules = regulation()
    way = way_of_request(resource, set(chosen), viewer.department.code, terms.mode, rules)
    way = reviewed_where_needed(way, terms, chosen, resource, rules)
    names = {item.field: item.name for item in resource.items.all()}
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
