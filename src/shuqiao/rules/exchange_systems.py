"""Exchange systems beside the platform: whether a new one may be, and how an existing one moves.

Source: guangzhou-2016 art. 8¶4; guangzhou-2019-165 art. 16; xiamen-2015 art. 5(4); shenyang-2016 art. 6¶2, 9.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from shuqiao.rules.channels import Exchange

KINDS = ("platform", "interface", "system", "catalogue")
"""What such a system is: an exchange platform, an interface, an exchange system, a catalogue system."""

STATES = ("registered", "moving", "connected", "moved")
"""How far it has moved: registered, under way, connected with the platform, moved and switched off."""

NEXT: Mapping[str, tuple[str, ...]] = {
    "registered": ("registered", "moving", "connected", "moved"),
    "moving": ("moving", "connected", "moved"),
    "connected": ("connected", "moved"),
    "moved": (),
}
"""What may be reported next; a report may leave the state as it is. Source: our choice, decision
"terms of a grant"."""

OPEN = ("registered", "moving", "connected")
"""States in which a system still exchanges information beside the platform."""


@dataclass(frozen=True, slots=True)
class Registration:
    """Whether a system may be registered, whether it counts as new, and the article."""

    allowed: bool
    is_new: bool
    article: str


def decide_registration(
    kind: str, running_since: date | None, exchange: Exchange, in_force_from: date | None, today: date
) -> Registration:
    """Decide on a system of a kind: a new one of a forbidden kind is refused, any other is registered.

    New is what does not run yet, or began to run once the regulation was in force. Where the text at hand
    does not say from when it applies, only what does not run yet is new.
    """
    is_new = running_since is None or running_since > today
    if running_since is not None and in_force_from is not None:
        is_new = is_new or running_since >= in_force_from
    if is_new and kind in exchange.forbidden:
        return Registration(False, True, exchange.forbidden_article)
    return Registration(True, is_new, exchange.forbidden_article if is_new else exchange.existing_article)


def may_report(state: str, wanted: str) -> bool:
    """Tell whether a state may follow another; what has moved stays moved."""
    return wanted in NEXT.get(state, ())


SWITCHED = ("connected", "moved")
"""States in which the platform gives what the system gave: each entry it was mapped to is served."""


def missing_for_switch(wanted: str, mapped: int, unserved: int) -> str:
    """What keeps a system from being switched over or closed, as a code; empty where nothing does.

    What it exchanged must stand in the catalogue first, and the platform must serve all of it (ONB-03).
    """
    if wanted not in SWITCHED:
        return ""
    if not mapped:
        return "not_mapped"
    return "entries_not_served" if unserved else ""


def is_late(state: str, planned_until: date, today: date) -> bool:
    """Tell whether the plan's day has passed and the system still exchanges information."""
    return state in OPEN and planned_until < today
