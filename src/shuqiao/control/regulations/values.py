"""From checked documents to the frozen values of `shuqiao.rules`; the schema has settled every type."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

from shuqiao.control.regulations.documents import Document
from shuqiao.rules import catalogue as cat
from shuqiao.rules import regulation as reg

Values = Mapping[str, Any]


def day_of(document: Document, path: tuple[str | int, ...], text: str) -> date:
    """The day a text names; the document's error where there is no such day."""
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise document.invalid(path, f"{text} is no day of the calendar") from error


def regulation_of(document: Document) -> reg.Regulation:
    """A regulation file as values."""
    it = document.content
    return reg.Regulation(
        id=it["id"],
        title=reg.Words(it["title_zh"], it["title_en"]),
        level=it["level"],
        region=it["region"],
        text_file=it["text"],
        catalogue_file=it["files"]["catalogue"],
        departments_file=it["files"]["departments"],
        calendar=it["calendar"],
        validity=_validity(document, it["validity"]),
        roles=tuple(_role(role) for role in it["roles"]),
        body_roles=tuple(reg.BodyRole(**role) for role in it["body_roles"]),
        share_types=tuple(reg.ShareType(**share_type) for share_type in it["share_types"]),
        catalogue_fields=_fields(it["catalogue"]["fields"]),
        catalogue_chain=tuple(reg.Step(**step) for step in it["catalogue"]["chain"]),
        request_fields=_fields(it["request"]["fields"]),
        deadlines=tuple(reg.Deadline(**deadline) for deadline in it["request"]["deadlines"]),
        start_day_counts=it["request"]["start_day_counts"],
        start_day_article=it["request"]["start_day_article"],
        request=_procedure(it["request"]),
        grant=_procedure(it["grant"]),
        dispute_steps=tuple(reg.Step(**step) for step in it["dispute"]),
        conditions=_fields(it["conditions"]),
        period=reg.Period(**it["grant"]["period"]),
    )


def _validity(document: Document, it: Values) -> reg.Validity:
    days = [day_of(document, ("validity", key), it[key]) for key in ("from", "until")]
    return reg.Validity(days[0], days[1], it["article"], reg.Words(it["note_zh"], it["note_en"]))


def _role(it: Values) -> reg.Role:
    return reg.Role(it["key"], it["zh"], it["en"], frozenset(it["may"]), it["article"])


def _fields(rows: list[Values]) -> tuple[reg.Field, ...]:
    return tuple(reg.Field(**row) for row in rows)


def _procedure(it: Values) -> reg.Procedure:
    states = tuple(
        reg.State(state["key"], state["zh"], state["en"], state.get("final", False)) for state in it["states"]
    )
    return reg.Procedure(states, tuple(_transition(row) for row in it["transitions"]))


def _transition(it: Values) -> reg.Transition:
    return reg.Transition(
        action=it["action"],
        zh=it["zh"],
        en=it["en"],
        from_states=frozenset(it["from"]),
        to_state=it["to"],
        side=reg.Side(it["side"]),
        capability=it["capability"],
        requires=tuple(it.get("requires", ())),
        article=it["article"],
    )


def lists_of(document: Document) -> tuple[cat.DataList, ...]:
    """A catalogue file as values; code lists are put in place of their names."""
    codes = {
        name: tuple(cat.Code(value, zh) for value, zh in rows.items())
        for name, rows in document.content["code_lists"].items()
    }
    return tuple(_list(it, codes) for it in document.content["lists"])


def _list(it: Values, codes: Mapping[str, tuple[cat.Code, ...]]) -> cat.DataList:
    return cat.DataList(
        key=it["key"],
        code=it["code"],
        zh=it["zh"],
        en=it["en"],
        article=it["article"],
        category_zh=it["category_zh"],
        category_en=it["category_en"],
        departments=tuple(it["departments"]),
        library=it["library"],
        record_key=it["record_key"],
        update_cycle=it["update_cycle"],
        modes=tuple(it["modes"]),
        summary_zh=it["summary_zh"],
        summary_en=it["summary_en"],
        note=it.get("note", ""),
        items=tuple(_item(row, it["article"], codes) for row in it["items"]),
    )


def _item(it: Values, article: str, codes: Mapping[str, tuple[cat.Code, ...]]) -> cat.Item:
    return cat.Item(
        number=it["number"],
        part=it.get("part", 0),
        part_of=it.get("part_of", ""),
        field=it["field"],
        zh=it["zh"],
        en=it["en"],
        type=it["type"],
        length=it.get("length"),
        identity=it["identity"],
        kind=it["kind"],
        sensitivity=it["sensitivity"],
        required=it.get("required", False),
        standard=it.get("standard", ""),
        codes=codes[it["codes"]] if "codes" in it else None,
        companion=it.get("companion", False),
        article=it.get("article", article),
    )


def bodies_of(document: Document) -> cat.Bodies:
    """A departments file as values."""
    it = document.content
    return cat.Bodies(
        it["regulation"], it["region"], it["sample"], tuple(_body(row) for row in it["departments"])
    )


def _body(it: Values) -> cat.Body:
    return cat.Body(
        word=it["word"],
        zh=it["zh"],
        short_zh=it["short_zh"],
        en=it["en"],
        kind=it["kind"],
        legal_names=tuple(it["legal_names"]),
        roles=tuple(it["roles"]),
        duties=tuple(
            cat.Duty(row["number"], row["zh"], row["en"], row["ground"], row.get("sample", False))
            for row in it["duties"]
        ),
    )
