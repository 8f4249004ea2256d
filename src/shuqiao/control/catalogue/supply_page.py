"""How an entry is supplied: its channels, and for an interface its description and how it is called.

Source: shenyang-2016 art. 21; xiamen-2015 art. 10; MOD-06, MOD-07.
"""

import json
from dataclasses import dataclass

from django.conf import settings

from shuqiao.control.accounts.access import Viewer
from shuqiao.control.accounts.capabilities import Capability
from shuqiao.control.catalogue import labels
from shuqiao.control.catalogue.models import Item, Resource, Service, ServiceKind
from shuqiao.control.catalogue.offering import is_by_interface, is_confined, masked, offer_of
from shuqiao.control.catalogue.queries import access_resource
from shuqiao.control.catalogue.services import KINDS
from shuqiao.control.regulations.current import regulation
from shuqiao.control.regulations.queries import ArticleRef, article_ref
from shuqiao.control.texts import Text
from shuqiao.rules.channels import INTERFACE

SHOWN_ITEMS = 3
HEADERS = (
    "Content-Digest",
    "Signature-Input",
    "Signature",
    "Shuqiao-Purpose",
    "Shuqiao-End-User",
    "Shuqiao-Grant",
)
"""What every call carries beside its body."""

_SAMPLE = "…"


@dataclass(frozen=True)
class InterfaceCall:
    """One call of the interface: how it is sent, and what comes back, as JSON."""

    mode: str
    label: Text
    method: str
    path: str
    body: str
    answer: str


@dataclass(frozen=True)
class Supply:
    """The channels of an entry; `calls` describe its interface where the platform serves it.

    `is_marked` tells that it is an interface service; `interface_only` is the article that leaves no other
    way. `has_own_interface` tells that the provider's own interface answers, whose description has a page of
    its own; `may_register` that this viewer may register one. `is_held` tells that the data stay with the
    department, whose node answers; `is_stored` that the platform keeps them; `may_keep` that this viewer may
    say that they stay. `has_files` and `may_register_files` are the same about files, whose page is for
    their provider alone.
    """

    channels: tuple[Text, ...]
    is_marked: bool
    interface_only: ArticleRef | None
    calls: tuple[InterfaceCall, ...]
    headers: tuple[str, ...]
    document: str
    masked: tuple[Text, ...]
    has_own_interface: bool
    may_register: bool
    has_files: bool
    may_register_files: bool
    is_held: bool
    is_stored: bool
    may_keep: bool


def supply_of(viewer: Viewer, resource_id: str) -> Supply:
    """Return how an entry is supplied; raises `NotFound` for what this viewer can't see."""
    resource = access_resource(viewer, resource_id)
    rules = regulation()
    offer, only = offer_of(resource, rules), rules.exchange.interface_only
    services = Service.objects.filter(resource=resource, ended_at=None)
    kinds = set(services.values_list("kind", flat=True))
    served = INTERFACE in offer.channels and bool(kinds & {ServiceKind.TABLE, ServiceKind.NODE})
    may_offer = resource.department_id == viewer.department.code and viewer.can(Capability.CATALOGUE_EDIT)
    items = list(resource.items.all())
    return Supply(
        channels=tuple(
            labels.label(labels.CHANNELS, one)
            for one in offer.channels
            # Copies and browsing are of records that the platform has.
            if one == INTERFACE or not is_by_interface(resource)
        ),
        is_marked=INTERFACE in offer.channels and bool(resource.modes),
        interface_only=article_ref(only.article, rules.id) if only and is_confined(resource, rules) else None,
        calls=_calls(resource, items) if served else (),
        headers=HEADERS,
        document=f"{settings.CONFIG.plane_url}/openapi.json",
        masked=tuple(one.name for one in items if masked(one, rules)),
        has_own_interface=ServiceKind.INTERFACE in kinds,
        may_register=may_offer and "query" in resource.modes,
        has_files=ServiceKind.FILE in kinds,
        may_register_files=may_offer and "bulk" in resource.modes and kinds.isdisjoint(KINDS),
        is_held=ServiceKind.NODE in kinds,
        is_stored=ServiceKind.TABLE in kinds,
        may_keep=may_offer and not kinds and bool(set(resource.modes) - {"bulk"}),
    )


def _calls(resource: Resource, items: list[Item]) -> tuple[InterfaceCall, ...]:
    """Describe the calls of the modes that the entry offers, with its own items as the example."""
    found = []
    for mode in ("verify", "query"):
        named = [one for one in items if mode in one.modes and one.field != resource.record_key]
        if mode not in resource.modes or not named:
            continue
        fields = [one.field for one in named[:SHOWN_ITEMS]]
        claims = dict.fromkeys(fields, _SAMPLE)
        asked: dict[str, object] = {"claims": claims} if mode == "verify" else {"items": fields}
        given: dict[str, object] = (
            {"result": dict.fromkeys(fields, True)} if mode == "verify" else {"data": claims}
        )
        found.append(
            InterfaceCall(
                mode=mode,
                label=labels.label(labels.MODES, mode),
                method="POST",
                path=f"/v1/resources/{resource.id}/{mode}",
                body=_json({"subject": _SAMPLE, **asked, "case": _SAMPLE}),
                answer=_json({**given, "entry": _SAMPLE, "at": _SAMPLE}),
            )
        )
    return tuple(found)


def _json(value: dict[str, object]) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2)
