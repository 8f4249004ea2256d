"""Business systems of departments and the platform: connected or not, tested, certified, accepted.

Source: guangzhou-2016 art. 43; guangzhou-2019-165 art. 16¶2-3; xiamen-2015 art. 6¶2, 19;
shenyang-2016 art. 8.
"""

from __future__ import annotations

from dataclasses import dataclass

UNCONNECTED, PLANNED, CONNECTED, RETIRED = "unconnected", "planned", "connected", "retired"
STATES = (UNCONNECTED, PLANNED, CONNECTED, RETIRED)
"""How a business system stands to the platform; a retired one is in use no more."""

OPEN = (UNCONNECTED, PLANNED)
"""States of a system that is still to be connected."""


@dataclass(frozen=True, slots=True)
class Interconnection:
    """Which article has systems connected, and who certifies and who accepts them.

    `district_platforms` tells whether districts have platforms, with which their departments' systems are
    connected. `rectifies` tells whether a system that may not be accepted is given a day by which to put it
    right.
    """

    connect_article: str
    district_platforms: bool
    certificate_by: str
    certificate_article: str
    acceptance_by: str
    acceptance_article: str
    rectifies: bool


@dataclass(frozen=True, slots=True)
class Ways:
    """By what a system is connected: None is a way it has not, else whether that way works now.

    `calls` is its own key, with which it asks for what others share; `brings` is the department's node, which
    brings what the system shares.
    """

    calls: bool | None
    brings: bool | None

    @property
    def missing(self) -> tuple[str, ...]:
        """What keeps the system from being connected, as codes; empty where it is."""
        if self.calls is None and self.brings is None:
            return ("no_way",)
        found = (("key_inactive", self.calls), ("node_inactive", self.brings))
        return tuple(code for code, works in found if works is False)


def states_after(state: str, ways: Ways) -> tuple[str, ...]:
    """Which states may be recorded next: connected only while every way of the system works."""
    if state == RETIRED:
        return ()
    connects = state != CONNECTED and not ways.missing
    return (*((CONNECTED,) if connects else ()), *((PLANNED,) if state != CONNECTED else ()), RETIRED)


def missing_for_certificate(state: str, ways: Ways, tested: frozenset[str]) -> tuple[str, ...]:
    """What is missing before a certificate can be issued; `tested` are the ways a test has passed on.

    Every way is tested by itself: a system that takes and brings is proved to do both.
    """
    if state != CONNECTED:
        return ("not_connected",)
    wanted = (("calls", ways.calls), ("brings", ways.brings))
    untested = tuple(f"untested_{name}" for name, way in wanted if way is not None and name not in tested)
    return (*ways.missing, *untested)


def may_accept(*, is_certified: bool, passes: bool) -> bool:
    """Tell whether an acceptance may be recorded so: none passes without a certificate in force (SUP-11)."""
    return is_certified or not passes
