"""By which ways information is given: what an entry offers, what a mode can use, what the law orders.

Source: shenyang-2016 art. 20(2), 21; xiamen-2015 art. 7, 13; guangzhou-2016 art. 8¶4.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from shuqiao.rules.interconnection import Interconnection

INTERFACE, DOWNLOAD, BROWSE, OFFLINE = "interface", "download", "browse", "offline"
CHANNELS = (INTERFACE, DOWNLOAD, BROWSE, OFFLINE)
"""All four ways, those by which the platform itself gives it first. Source: shenyang-2016 art. 21."""

OF_MODE: Mapping[str, tuple[str, ...]] = {
    "verify": (INTERFACE, OFFLINE),
    "query": (INTERFACE, OFFLINE),
    "bulk": CHANNELS,
}
"""The ways in which each mode can be given; a whole data set alone is downloaded or browsed.

Source: xiamen-2015 art. 13(3); our choice, decision "terms of a grant".
"""

ON_PAGES = frozenset({DOWNLOAD, BROWSE})
"""The ways in which a data set goes to a person who looks at the platform's pages, and not to a system.

Source: shenyang-2016 art. 21 (文件下载、在线浏览 beside 接口交换); our choice, decision 30.
"""


@dataclass(frozen=True, slots=True)
class InterfaceOnly:
    """Entries that are given by interface exchange and in no other way, by connected work or update cycle."""

    relations: frozenset[str]
    cycles: frozenset[str]
    article: str


@dataclass(frozen=True, slots=True)
class Exchange:
    """The platform as the one way of sharing, and what becomes of other exchange systems (MOD-08, MOD-12).

    `forbidden` are the kinds of system of which no new one may be built. `interface_only` is None where the
    text orders no way for any entry.
    """

    only_channel_article: str
    forbidden: frozenset[str]
    forbidden_article: str
    existing_article: str
    interface_only: InterfaceOnly | None
    interconnection: Interconnection

    def confines(self, relations: Iterable[str], cycle: str) -> bool:
        """Tell whether an entry connected with such work, or updated so often, is given by interface only."""
        only = self.interface_only
        return only is not None and (cycle in only.cycles or not only.relations.isdisjoint(relations))


def channels_of(
    manner: Iterable[str], by_manner: Mapping[str, Collection[str]], *, confined: bool = False
) -> tuple[str, ...]:
    """The channels of an entry, from its manner of sharing; one that names none is given by interface.

    `confined` is what `Exchange.confines` says: then nothing but the interface is left.
    Source: shenyang-2016 art. 20(2) (联机方式为主), 21.
    """
    if confined:
        return (INTERFACE,)
    named = {channel for one in manner for channel in by_manner.get(one, ())}
    return tuple(one for one in CHANNELS if one in named) or (INTERFACE,)


def channels_for(mode: str, offered: Collection[str]) -> tuple[str, ...]:
    """Those of the offered channels in which a mode can be given."""
    return tuple(one for one in OF_MODE.get(mode, ()) if one in offered)


def usual(mode: str, offered: Collection[str]) -> tuple[str, ...]:
    """The channels asked for where nobody says any: the interface, else what the entry offers."""
    possible = channels_for(mode, offered)
    return (INTERFACE,) if INTERFACE in possible else possible
