"""What forms give to the actions on requests, and checking it against catalogue and register."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

from shuqiao.control import clock
from shuqiao.control.accounts.access import Fault, Viewer
from shuqiao.control.catalogue.models import Item, Resource
from shuqiao.control.catalogue.offering import offer_of
from shuqiao.control.catalogue.period import period_fault
from shuqiao.control.files.granting import Asked, file_faults
from shuqiao.control.grants.models import ENDED, IN_USE, Grant
from shuqiao.control.grants.terms import fault_of_term, rows_of
from shuqiao.control.interfaces.granting import offered_modes
from shuqiao.control.organisations.models import Application, Duty
from shuqiao.control.regulations.current import regulation
from shuqiao.control.texts import Text
from shuqiao.rules.channels import usual
from shuqiao.rules.rows import Row
from shuqiao.rules.terms import Offer, Terms, covers, term_faults
from shuqiao.wire.grant import decode_grant

MAX_PURPOSE_CHARS = 200
MAX_REASON_CHARS = 200
MAX_WORDING_CHARS = 100
MAX_TEXT_CHARS = 500


@dataclass(frozen=True)
class RequestInput:
    """A request as its form gives it; `items` maps each field asked for to why it is needed."""

    resource: str
    mode: str = "verify"
    duty: int | None = None
    purpose: str = ""
    case_wording: str = ""
    items: Mapping[str, str] = field(default_factory=dict)
    applications: tuple[str, ...] = ()
    accepted_conditions: tuple[str, ...] = ()
    wanted_until: date | None = None
    # Where no channel is named, the usual one of the mode is asked for.
    channels: tuple[str, ...] = ()
    rows: tuple[Row, ...] = ()
    # Sensitive items of which the values themselves are needed, each with why.
    unmask: Mapping[str, str] = field(default_factory=dict)
    # The grant whose continuation is asked for.
    renews: str = ""


@dataclass(frozen=True)
class AnswerInput:
    """An answer as its form gives it; `decisions` maps every item asked for to yes or no.

    `refusal_reason` holds for every refused item without a reason of its own. Where `applications`
    or `valid_from` is None, all of the request's applications may use the grant, from today. Channels left
    None are those asked for; `rows` hold beside those that the request proposes; `unmasked` names each item
    whose value is given as it is.
    """

    decisions: Mapping[str, bool]
    refusal_reason: str = ""
    refusal_reasons: Mapping[str, str] = field(default_factory=dict)
    mode: str = "verify"
    match: str = "all"
    purpose: str = ""
    valid_from: date | None = None
    valid_until: date | None = None
    applications: tuple[str, ...] | None = None
    case_required: bool = False
    note: str = ""
    channels: tuple[str, ...] | None = None
    rows: tuple[Row, ...] = ()
    unmasked: frozenset[str] = frozenset()
    pseudonyms: bool = False
    signed_calls: bool = False
    # Of an interface, the operations that are given. None is no choice.
    operations: tuple[str, ...] | None = None
    # Of an entry that files serve, those that are given; "*" is all, later ones too. None is no choice.
    files: tuple[str, ...] | None = None


@dataclass(frozen=True)
class StepInput:
    """What a step without a form of its own brings, by the words of the regulation file.

    `received_on` is the day on which a written application came in; `consent` that the other side agrees.
    """

    reason: str = ""
    result: str = ""
    received_on: date | None = None
    consent: bool = False

    def words(self) -> dict[str, object]:
        """What is given, as the rules ask for it."""
        return {
            "reason": self.reason,
            "result": self.result,
            "received_on": self.received_on,
            "consent": self.consent,
        }

    def facts(self) -> dict[str, object]:
        """What of it the audit entry says besides the reason."""
        found: dict[str, object] = {}
        if self.result:
            found["result"] = self.result
        if self.received_on:
            found["received_on"] = self.received_on.isoformat()
        return found

    def params(self) -> dict[str, str]:
        """What of it the history shows."""
        return {name: str(value) for name, value in self.words().items() if value}

    def faults(self, submitted_on: date) -> tuple[Fault, ...]:
        """A written application comes in neither before the request was made nor in the future."""
        faults = [
            _fault(name, "too_long", f"不超过 {MAX_TEXT_CHARS} 字", f"At most {MAX_TEXT_CHARS} characters")
            for name in ("reason", "result")
            if len(getattr(self, name)) > MAX_TEXT_CHARS
        ]
        if self.received_on and not submitted_on <= self.received_on <= clock.today():
            zh = f"收到日期须在 {submitted_on} 至 {clock.today()} 之间"
            en = f"It was received between {submitted_on} and {clock.today()}"
            faults.append(_fault("received_on", "date_impossible", zh, en))
        return tuple(faults)


@dataclass(frozen=True)
class Checked:
    """A request's input after the look-ups: only what exists and may be asked for is left."""

    items: tuple[tuple[Item, str], ...]
    duty: Duty | None
    applications: tuple[Application, ...]
    faults: tuple[Fault, ...]
    renews: str | None = None
    terms: Terms = field(default_factory=lambda: Terms(""))


def check_input(viewer: Viewer, given: RequestInput, resource: Resource) -> Checked:
    """Look up everything the input names; what does not exist, or is not theirs, becomes a fault."""
    items, faults = _check_items(given, resource)
    own_duties = Duty.objects.filter(department_id=viewer.department.code)
    duty = own_duties.filter(pk=given.duty).first() if given.duty is not None else None
    if given.duty is not None and duty is None:
        zh, en = "所选职权不是本部门登记的职权", "Not a registered duty of your department"
        faults.append(_fault("duty", "duty_unknown", zh, en))
    own = Application.objects.filter(
        id__in=given.applications, department_id=viewer.department.code, active=True
    )
    applications = tuple(own.order_by("id"))
    if len(applications) != len(set(given.applications)):
        zh, en = "所选应用不是本部门的有效应用", "Not an active application of yours"
        faults.append(_fault("applications", "application_unknown", zh, en))
    faults += period_fault("wanted_until", given.wanted_until, resource)
    renews = _renewable(viewer, given)
    if given.renews and renews is None:
        zh, en = "要续期的授权已不在使用", "The grant to be renewed is no longer in use"
        faults.append(_fault("renews", "grant_ended", zh, en))
    rules = regulation()
    offer = offer_of(resource, rules)
    terms = _asked_terms(given, resource, offer)
    faults += [fault_of_term(one) for one in term_faults(terms, offer, list(given.items))]
    asked = Asked(terms.mode, given.items, terms.unmasked, terms.channels, has_rows=bool(terms.rows))
    faults += file_faults(resource, asked, rules)
    return Checked(tuple(items), duty, applications, tuple(faults), renews, terms)


def _asked_terms(given: RequestInput, resource: Resource, offer: Offer) -> Terms:
    """The terms that an input asks for; a reason for values in the clear counts where there are values."""
    unmasked = frozenset(name for name, why in given.unmask.items() if why.strip() and name in given.items)
    mode = given.mode if given.mode in resource.modes else resource.modes[0]
    return Terms(
        mode=given.mode,
        channels=given.channels or usual(mode, offer.channels),
        rows=given.rows,
        unmasked=unmasked & offer.masked if given.mode != "verify" else frozenset(),
    )


def _renewable(viewer: Viewer, given: RequestInput) -> str | None:
    """The grant to be renewed: the department's own, of this entry, and not ended."""
    own = Grant.objects.filter(consumer_id=viewer.department.code, resource_id=given.resource)
    found = own.exclude(phase=ENDED).filter(number=given.renews)
    return found.values_list("number", flat=True).first() if given.renews else None


def _check_items(given: RequestInput, resource: Resource) -> tuple[list[tuple[Item, str]], list[Fault]]:
    faults: list[Fault] = []
    if given.mode not in offered_modes(resource):
        zh, en = "此条目不提供这种方式", "The entry isn't offered in this mode"
        faults.append(_fault("mode", "mode_unknown", zh, en))
    known = {item.field: item for item in resource.items.all()}
    items: list[tuple[Item, str]] = []
    for name, reason in given.items.items():
        item = known.get(name)
        if item is None:
            zh, en = "所选信息项不在目录中", "An item is not in the catalogue"
            faults.append(_fault("items", "item_unknown", zh, en))
            continue
        items.append((item, reason.strip()[:MAX_REASON_CHARS]))
        faults += _item_faults(item, reason, given.mode, resource.record_key)
    return items, faults


def _item_faults(item: Item, reason: str, mode: str, record_key: str) -> list[Fault]:
    if not reason.strip():
        zh, en = f"请写明为何需要“{item.zh}”", f"Say why {item.en} is needed"
        return [_fault(f"reason:{item.field}", "reason_missing", zh, en)]
    if mode not in item.modes:
        zh, en = (
            f"“{item.zh}”不提供这种方式，可申请核验",
            f"{item.en} isn't offered in this mode; ask to verify it",
        )
        return [_fault("items", "item_mode", zh, en)]
    if item.field == record_key and mode == "verify":
        zh = f"“{item.zh}”用来指明所查对象，不必申请"
        return [_fault("items", "item_is_key", zh, f"{item.en} names the record; it need not be asked for")]
    return []


def covering_grant(viewer: Viewer, given: RequestInput, today: date) -> str | None:
    """Return a grant that already gives everything asked for: then no new review is needed (REQ-13)."""
    resource = Resource.objects.get(pk=given.resource)
    wanted = _asked_terms(given, resource, offer_of(resource, regulation()))
    for grant in Grant.objects.filter(
        consumer_id=viewer.department.code,
        resource_id=given.resource,
        mode=given.mode,
        phase=IN_USE,
        valid_from__lte=today,
        valid_until__gte=given.wanted_until or today,
    ).prefetch_related("applications"):
        applications = {application.id for application in grant.applications.all()}
        if not covers(_held_terms(grant), wanted):
            continue
        if set(given.items) <= set(grant.fields) and set(given.applications) <= applications:
            return grant.number
    return None


def _held_terms(grant: Grant) -> Terms:
    """The terms of a grant; one that gives tokens for identifiers gives no values in the clear."""
    document = decode_grant(grant.document)
    mode = "" if document.pseudonyms else document.mode
    return Terms(mode, document.channels, rows_of(document), frozenset(document.unmasked))


def _fault(name: str, code: str, zh: str, en: str) -> Fault:
    return Fault(name, code, Text(zh, en))
