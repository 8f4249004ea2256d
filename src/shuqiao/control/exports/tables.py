"""The sharing catalogue as a table: the columns of the guide's core metadata, one row for each item.

The columns stand in the order of the guide, so that the table can be taken over by other catalogue systems.
The language is chosen at the start: rows are still being written when the request that asked is long over.
Source: 政务信息资源目录编制指南（试行） (2017), core metadata; guangzhou-2016 art. 29(2).
"""

from collections.abc import Callable, Iterable, Iterator

from shuqiao.control import clock
from shuqiao.control.exports.entries import Named, SharedEntry, SharedItem
from shuqiao.control.exports.spreadsheet import Cell, Row
from shuqiao.control.texts import Text

SHEET = Text("政务信息共享目录", "Sharing catalogue")
_YES, _NO = Text("是", "Yes"), Text("否", "No")

Say = Callable[[Text], str]
"""Gives the words of a text in the language of the table."""


def chinese(words: Text) -> str:
    """Say it in Chinese."""
    return words.zh


def english(words: Text) -> str:
    """Say it in English."""
    return words.en


def header(say: Say) -> Row:
    """The names of the columns."""
    return [say(name) for group in (_ENTRY, _ITEM, _AFTER_ITEMS) for name, _ in group]


def rows(entries: Iterable[SharedEntry], say: Say) -> Iterator[Row]:
    """One row for each item; an entry without items has one row with the columns of the item empty."""
    nothing: list[Cell] = [""] * len(_ITEM)
    for entry in entries:
        before = [value(entry, say) for _, value in _ENTRY]
        after = [value(entry, say) for _, value in _AFTER_ITEMS]
        for item in entry.items:
            yield [*before, *(value(item, say) for _, value in _ITEM), *after]
        if not entry.items:
            yield [*before, *nothing, *after]


def _theme(entry: SharedEntry, at: int, say: Say) -> str:
    return say(entry.themes[at].words) if at < len(entry.themes) else ""


def _coded(named: Named, say: Say) -> str:
    """The words, with the official code before them where there is one."""
    return f"{named.code} {say(named.words)}" if named.code else say(named.words)


def _english_name(name: Text) -> str:
    return name.en if name.en != name.zh else ""


def _manners(entry: SharedEntry, say: Say) -> str:
    return "；".join(say(one.words) for one in entry.manner)


def _offers(entry: SharedEntry, say: Say) -> str:
    return "；".join(f"{say(offer.words)} {offer.place}".rstrip() for offer in entry.offers)


def _field(item: SharedItem, _say: Say) -> str:
    return item.detail.field if item.detail else ""


def _type(item: SharedItem, say: Say) -> str:
    return f"{say(item.detail.data_type.words)} {item.detail.data_type.key}" if item.detail else ""


def _length(item: SharedItem, _say: Say) -> Cell:
    return (item.detail.length or "") if item.detail else ""


def _standard(item: SharedItem, _say: Say) -> str:
    return item.detail.standard if item.detail else ""


def _code_list(item: SharedItem, _say: Say) -> str:
    return item.detail.code_list if item.detail else ""


_ENTRY: tuple[tuple[Text, Callable[[SharedEntry, Say], Cell]], ...] = (
    (Text("类", "Class"), lambda e, say: _theme(e, 0, say)),
    (Text("项", "Subject"), lambda e, say: _theme(e, 1, say)),
    (Text("分类代码", "Code of the classification"), lambda e, _: e.subject),
    (Text("信息资源名称", "Name"), lambda e, _: e.name.zh),
    (Text("英文名称", "Name in English"), lambda e, _: _english_name(e.name)),
    (Text("信息资源代码", "Code"), lambda e, _: e.code),
    (Text("信息资源标识", "Identifier"), lambda e, _: e.id),
    (Text("信息资源提供方", "Provider"), lambda e, say: say(e.publisher.name)),
    (Text("提供方代码", "Code of the provider"), lambda e, _: e.publisher.credit_code or e.publisher.code),
    (Text("信息资源摘要", "Summary"), lambda e, say: say(e.summary)),
    (Text("信息资源格式", "Format"), lambda e, say: _coded(e.format, say)),
    (Text("具体格式", "Format in detail"), lambda e, _: e.format_detail),
)
_ITEM: tuple[tuple[Text, Callable[[SharedItem, Say], Cell]], ...] = (
    (Text("信息项名称", "Item"), lambda i, _: i.name.zh),
    (Text("信息项英文名称", "Item in English"), lambda i, _: _english_name(i.name)),
    (Text("信息项标识", "Field"), _field),
    (Text("数据类型", "Data type"), _type),
    (Text("数据长度", "Length"), _length),
    (Text("执行标准", "Standard"), _standard),
    (Text("代码表", "Code list"), _code_list),
)
_AFTER_ITEMS: tuple[tuple[Text, Callable[[SharedEntry, Say], Cell]], ...] = (
    (Text("共享类型", "Share type"), lambda e, say: say(e.share_type.words)),
    (Text("共享条件", "Share conditions"), lambda e, _: e.conditions),
    (Text("共享方式", "Manner of sharing"), _manners),
    (Text("服务", "Services"), _offers),
    (Text("是否向社会开放", "Open to the public"), lambda e, say: say(_YES if e.open_to_public else _NO)),
    (Text("开放条件", "Conditions of opening"), lambda e, _: e.open_conditions),
    (Text("更新周期", "Update cycle"), lambda e, say: _coded(e.cycle, say)),
    (Text("发布日期", "Published on"), lambda e, _: clock.legal_day(e.issued).isoformat()),
    (Text("变更日期", "Changed on"), lambda e, _: clock.legal_day(e.modified).isoformat()),
    (Text("版本", "Version"), lambda e, _: e.version),
    (Text("关联资源标识", "Related entries"), lambda e, _: "；".join(e.related)),
    (Text("所属库", "Library"), lambda e, say: say(e.library.words)),
)
