"""What an entry that is served by files gives under a grant: all of it or nothing of it.

Source: xiamen-2015 art. 13(3); shenyang-2016 art. 21; our choice, decision 29.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from django.db import connection

from shuqiao.control.accounts.access import Fault
from shuqiao.control.catalogue.models import Resource, Service, ServiceKind
from shuqiao.control.catalogue.offering import masked
from shuqiao.control.texts import Text
from shuqiao.rules.channels import BROWSE
from shuqiao.rules.files import EVERY, gives_whole
from shuqiao.rules.regulation import Regulation

MODE = "bulk"
EVERY_FILE = Text("全部文件，含以后登记的", "All files, later ones too")


@dataclass(frozen=True)
class Asked:
    """What is asked for or given of an entry, as far as files go."""

    mode: str
    fields: Collection[str]
    unmasked: Collection[str]
    channels: Collection[str]
    has_rows: bool = False
    pseudonyms: bool = False


def serves_files(resource_id: str) -> bool:
    """Tell whether an entry is served by files now."""
    return Service.objects.filter(resource_id=resource_id, kind=ServiceKind.FILE, ended_at=None).exists()


def files_granted(mode: str, chosen: Collection[str] | None) -> tuple[str, ...]:
    """Name the files that a grant opens: the chosen ones and no other, all of them where that was chosen."""
    if mode != MODE or not chosen:
        return ()
    return (EVERY,) if EVERY in chosen else tuple(dict.fromkeys(chosen))


def files_kept(resource_id: str, mode: str, kept: Collection[str]) -> tuple[str, ...] | None:
    """What a grant that nobody chooses gives: of an older one the files still there, else all of the entry.

    None where no files serve the entry.
    """
    if mode != MODE or not serves_files(resource_id):
        return tuple(kept) or None
    there = {EVERY, *_titles(resource_id)}
    # Where all are gone their names stay: then they are refused instead of widened.
    return tuple(one for one in kept if one in there) or tuple(kept) or (EVERY,)


def file_options(resource_id: str, mode: str) -> tuple[tuple[str, str], ...]:
    """The files that a grant in this mode can name, with their titles."""
    return tuple(_titles(resource_id).items()) if mode == MODE and serves_files(resource_id) else ()


def file_words(resource_id: str, named: Collection[str]) -> tuple[Text, ...]:
    """Name the files of a grant; one that was withdrawn is still known by its title."""
    if not named:
        return ()
    if EVERY in named:
        return (EVERY_FILE,)
    titles = _titles(resource_id, withdrawn=True)
    return tuple(Text(titles.get(one, one), titles.get(one, one)) for one in named)


def _titles(resource_id: str, *, withdrawn: bool = False) -> dict[str, str]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id::text, title FROM exchange.file WHERE resource_id = %s"
            " AND (%s OR withdrawn_at IS NULL) ORDER BY title, registered_at",
            [resource_id, withdrawn],
        )
        return dict(cursor.fetchall())


def file_faults(resource: Resource, asked: Asked, regulation: Regulation) -> tuple[Fault, ...]:
    """What files can't honour of what is asked for or given; empty where no files serve the entry."""
    if asked.mode != MODE or not serves_files(resource.id):
        return ()
    items = list(resource.items.all())
    hidden = [item.field for item in items if masked(item, regulation)]
    found = []
    if not gives_whole([item.field for item in items], hidden, asked.fields, asked.unmasked):
        zh = "此条目以文件提供，文件不能分项或脱敏：请选择全部信息项，敏感项逐一说明需要原值的理由"
        en = (
            "This entry is given as files, which can't be filtered or masked: choose all items, and say for "
            "each sensitive one why its value is needed"
        )
        found.append(Fault("items", "files_are_whole", Text(zh, en)))
    if asked.has_rows or asked.pseudonyms:
        zh, en = "文件不能按行筛选，也不能代之以假名", "A file has neither rows to choose nor tokens"
        found.append(Fault("rows", "files_are_whole", Text(zh, en)))
    if BROWSE in asked.channels:
        zh, en = (
            "文件不能在线浏览，请选择接口交换或文件下载",
            "Files can't be browsed: by interface or download",
        )
        found.append(Fault("channels", "channel_mode", Text(zh, en)))
    return tuple(found)


def choice_faults(resource_id: str, mode: str, chosen: Collection[str] | None) -> tuple[Fault, ...]:
    """What is wrong with the files that are given; `chosen` is None where nobody was asked to choose.

    None chosen is never all of them, and a choice of files that are all gone is no grant without files.
    """
    if mode != MODE:
        return ()
    if not serves_files(resource_id):
        if chosen is None:
            return ()
        words = Text("文件已全部撤下，此条目不再以文件提供", "The files were withdrawn: none serve the entry")
        return (Fault("files", "file_unknown", words),)
    if not chosen:
        words = Text("请选择提供的文件，或选择全部文件", "Choose the files to give, or all of them")
        return (Fault("files", "field_required", words),)
    if not set(chosen) <= {EVERY, *_titles(resource_id)}:
        words = Text("所选文件不存在或已撤下", "A chosen file is not there")
        return (Fault("files", "file_unknown", words),)
    return ()
