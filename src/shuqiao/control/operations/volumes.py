"""What the platform's processes say of the volumes their data lie on, and what control says of the servers.

PostgreSQL and the message server don't state anything by themselves: control's worker does it for them, from
the folders it is told or from what is declared about them.
Source: our choice, decision 31; guangzhou-2016 art. 38(1).
"""

import logging
from dataclasses import dataclass
from datetime import date, datetime

from django.conf import settings
from django.db import connection, transaction

from shuqiao.control.accounts.access import NotFound, Viewer
from shuqiao.control.accounts.capabilities import Capability
from shuqiao.control.operations.labels import VOLUMES
from shuqiao.control.regulations.current import regulation
from shuqiao.control.regulations.queries import ArticleRef, article_ref
from shuqiao.control.texts import Text
from shuqiao.security.volumes import tell
from shuqiao.wire.volumes import FUNCTION, arguments

log = logging.getLogger("shuqiao.control")

PROCESS = "control"
SERVERS = ("hub-database", "vault-database", "messages")
_STATE = f"SELECT {FUNCTION}(%s, %s, %s, %s, %s, %s, %s)"
_PLACES = {
    "hub-database": Text("平台数据库", "The hub's database"),
    "vault-database": Text("身份保险库的数据库", "The vault's database"),
    "messages": Text("消息服务的存储", "The message server's store"),
    "copies": Text("待取副本", "Copies to be fetched"),
    "answers": Text("接口应答的暂存", "Answers of interfaces on their way"),
}
_SEALED = frozenset({"messages", "copies", "answers"})
_PROCESSES = {
    "control": Text("办公平台", "Office"),
    "plane": Text("数据面", "Data plane"),
    "bulk": Text("副本准备", "Preparation of copies"),
}


@dataclass(frozen=True)
class VolumeRow:
    """The newest statement about one place; `is_sealed` where nothing is written there in clear anyway."""

    place: Text
    is_sealed: bool
    process: Text
    host: str
    state: str
    words: Text
    device: str
    declared_by: str
    declared_on: date | None
    stated_at: datetime

    @property
    def is_open(self) -> bool:
        """Nobody says that it is encrypted."""
        return self.state in ("open", "unknown")


@dataclass(frozen=True)
class VolumesPage:
    """Every statement, those to worry about first."""

    rows: tuple[VolumeRow, ...]
    article: ArticleRef

    @property
    def open_count(self) -> int:
        """How many places lie open."""
        return sum(row.is_open for row in self.rows)


def sees_volumes(viewer: Viewer) -> bool:
    """Tell whether the viewer watches over the platform: its agency, and those who supervise."""
    return viewer.can(Capability.APPLICATION_ADMIT) or viewer.can(Capability.AUDIT_VIEW_ALL)


def volumes_page(viewer: Viewer) -> VolumesPage:
    """Return what the page shows; raises `NotFound` for who doesn't watch over the platform."""
    if not sees_volumes(viewer):
        raise NotFound
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT process, host, place, state, device, declared_by, declared_on, stated_at"
            " FROM exchange.volume ORDER BY state NOT IN ('open', 'unknown'), place, process, host"
        )
        rows = tuple(_row(*found) for found in cursor.fetchall())
    return VolumesPage(rows, article_ref(regulation().citations["security"]))


@transaction.atomic
def state_volumes() -> int:
    """State what is known of the servers' volumes, as the worker does at its start and then day by day.

    Returns how many statements were new. May run late, twice, or beside itself.
    """
    stated = []
    with connection.cursor() as cursor:
        for volume in settings.CONFIG.volumes.volumes({}, SERVERS):
            cursor.execute(_STATE, arguments(PROCESS, volume))
            row = cursor.fetchone()
            if row is not None and row[0]:
                stated.append(volume)
    tell(stated, log)
    return len(stated)


def _row(
    process: str, host: str, place: str, state: str, device: str, by: str, on: date | None, at: datetime
) -> VolumeRow:
    return VolumeRow(
        _PLACES.get(place, Text(place, place)),
        place in _SEALED,
        _PROCESSES.get(process, Text(process, process)),
        host,
        state,
        VOLUMES[state],
        device,
        by,
        on,
        at,
    )
