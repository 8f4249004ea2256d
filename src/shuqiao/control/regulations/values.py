"""From checked documents to the frozen values of `shuqiao.rules`; the schema has settled every type."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

from shuqiao.control.regulations.completing import with_full_citations
from shuqiao.control.regulations.documents import Document
from shuqiao.rules import catalogue as cat
from shuqiao.rules import regulation as reg
from shuqiao.rules import share_types as shares
from shuqiao.rules.channels import Exchange, InterfaceOnly
from shuqiao.rules.interconnection import Interconnection
from shuqiao.rules.platforms import Platform, Platforms

Values = Mapping[str, Any]


def day_of(document: Document, path: tuple[str | int, ...], text: str) -> date:
    """The day a text names; the document's error where there is no such day."""
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise document.invalid(path, f"{text} is no day of the calendar") from error


def regulation_of(document: Document, content: Values) -> reg.Regulation:
    """A regulation as values; `content` is the document's, completed from the fallback.

    One call with a line for each field of a regulation, so that the file and its values can be held together.
    """
    it = content
    return reg.Regulation(
        id=it["id"],
        title=reg.Words(it["title_zh"], it["title_en"]),
        short=reg.Words(it["short_zh"], it["short_en"]),
        level=it["level"],
        region=it["region"],
        text_file=it["text"],
        catalogue_file=it["files"]["catalogue"],
        departments_file=it["files"]["departments"],
        calendar=it["calendar"],
        unknown=frozenset(it["unknown"]),
        fallback=it.get("fallback"),
        validity=_validity(document, it["validity"]),
        open_cases=reg.OpenCases(it["transition"]["open_cases"]),
        open_cases_article=it["transition"]["article"],
        body_months=it["records"]["body_months"],
        body_article=it["records"]["article"],
        roles=tuple(_role(role) for role in it["roles"]),
        body_roles=_fields(it["body_roles"]),
        collection=_collection(it["collection"]),
        reviews=tuple(reg.Review(**row) for row in it["supply"]["reviews"]),
        share_types=_share_types(it["share_types"]),
        entry_months=it["catalogue"]["period"]["months"],
        entry_months_article=it["catalogue"]["period"]["article"],
        maintenance_months=it["catalogue"].get("maintenance", {}).get("months"),
        maintenance_article=it["catalogue"].get("maintenance", {}).get("article", reg.SETTING),
        catalogue_fields=_fields(it["catalogue"]["fields"]),
        catalogue_chain=_chain(it["catalogue"]["chain"]),
        request_fields=_fields(it["request"]["fields"]),
        start_day_counts=it["clocks"]["start_day_counts"],
        start_day_article=it["clocks"]["article"],
        deadlines=tuple(reg.Deadline(**deadline) for deadline in it["deadlines"]),
        procedures={key: _procedure(key, rows) for key, rows in it["procedures"].items()},
        immediate=reg.Immediate(
            it["immediate"].get("openness"), it["immediate"].get("sensitive_from"), it["immediate"]["article"]
        ),
        period=reg.Period(**it["grants"]["period"]),
        verify_only_from_sensitivity=it["grants"]["verify_only_from_sensitivity"],
        masked_from_sensitivity=it["grants"]["masked_from_sensitivity"],
        recall=reg.Recall(**it["grants"]["recall"]),
        exchange=_exchange(it["exchange"]),
        platforms=_platforms(it["platforms"]) if "platforms" in it else None,
        disputes=_disputes(it["disputes"]),
        updates=tuple(
            reg.UpdateRule(**{"working_days": None, **row})  # the schema has settled the names
            for row in it["updates"]
        ),
        objections=_chain(it["objections"]),
        evaluation=_fields(it["evaluation"]),
        reports=tuple(reg.Report(**row) for row in it["reports"]),
        sanctions=tuple(reg.Sanction(**{"years": None, **row}) for row in it["sanctions"]),
        citations=dict(it["citations"]),
        conditions=_fields(it["conditions"]),
    )


def _exchange(it: Values) -> Exchange:
    only = it.get("interface_only")
    return Exchange(
        only_channel_article=it["only_channel"]["article"],
        forbidden=frozenset(it["new_systems"]["forbidden"]),
        forbidden_article=it["new_systems"]["article"],
        existing_article=it["existing_systems"]["article"],
        interface_only=InterfaceOnly(frozenset(only["relations"]), frozenset(only["cycles"]), only["article"])
        if only
        else None,
        interconnection=_interconnection(it["interconnection"]),
    )


def _interconnection(it: Values) -> Interconnection:
    certificate, acceptance = it["certificate"], it["acceptance"]
    return Interconnection(
        connect_article=it["connect"]["article"],
        district_platforms=it["connect"]["district_platforms"],
        certificate_by=certificate["by"],
        certificate_article=certificate["article"],
        acceptance_by=acceptance["by"],
        acceptance_article=acceptance["article"],
        rectifies=acceptance["rectifies"],
    )


def _platforms(it: Values) -> Platforms:
    return Platforms(Platform(**it["city"]), Platform(**it["district"]), it["base_lists"]["article"])


def head_of(document: Document) -> reg.Head:
    """What a file says of itself."""
    it = document.content
    return reg.Head(
        id=it["id"],
        title=reg.Words(it["title_zh"], it["title_en"]),
        short=reg.Words(it["short_zh"], it["short_en"]),
        level=it["level"],
        region=it["region"],
        unknown=tuple(it["unknown"]),
        fallback=it.get("fallback"),
        validity=_validity(document, it["validity"]),
    )


def _validity(document: Document, it: Values) -> reg.Validity:
    issued, start, until = (
        None if it[key] == "unknown" else day_of(document, ("validity", key), it[key])
        for key in ("issued", "from", "until")
    )
    note = reg.Words(it["note_zh"], it["note_en"])
    return reg.Validity(issued, start, until, it["warn_days"], it["article"], note)


def _role(it: Values) -> reg.Role:
    return reg.Role(it["key"], it["zh"], it["en"], frozenset(it["may"]), it["article"])


def _fields(rows: list[Values]) -> tuple[reg.Field, ...]:
    return tuple(reg.Field(**row) for row in rows)


def _chain(rows: list[Values]) -> tuple[reg.Step, ...]:
    return tuple(reg.Step(**row) for row in rows)


def _collection(it: Values) -> reg.Collection:
    settled = it["settled"]
    return reg.Collection(
        repeat_article=it["repeat"]["article"],
        again_ranks=tuple(it["again"]["ranks"]),
        again_article=it["again"]["article"],
        duty_article=it["within_duty"]["article"],
        named_by_text=it["source"]["named_by_text"],
        source_article=it["source"]["article"],
        settled_with=reg.Words(settled["with_zh"], settled["with_en"]) if "with_zh" in settled else None,
        settled_article=settled["article"],
    )


def _share_types(it: Values) -> shares.ShareTypes:
    default, ruled_by = it.get("default"), it.get("ruled_by")
    return shares.ShareTypes(
        types=tuple(_share_type(row) for row in it["types"]),
        default=default["key"] if default else None,
        default_article=default["article"] if default else "",
        base_items=_base_items(it["base_items"]),
        relations=tuple(shares.Relation(**row) for row in it["relations"]),
        ruled_by=ruled_by["role"] if ruled_by else None,
        ruled_by_article=ruled_by["article"] if ruled_by else "",
    )


def _share_type(it: Values) -> shares.ShareType:
    lists = {key: tuple(it.get(key, ())) for key in ("requires", "ground_ranks")}
    return shares.ShareType(**{**it, **lists})


def _base_items(it: Values) -> shares.BaseItems | None:
    if "share_type" not in it:
        return None
    lists = {name: tuple(fields) for name, fields in it["lists"].items()}
    return shares.BaseItems(it["share_type"], lists, it["article"], it["items_article"])


def _disputes(it: Values) -> reg.Disputes:
    who, every = it["ruling_applied_by"], it["review_every_days"]
    return reg.Disputes(
        kinds=tuple(reg.DisputeKind(**row) for row in it["kinds"]),
        ruling_applied_by=who["who"],
        ruling_applied_by_article=who["article"],
        review_every_days=every["days"],
        review_every_days_article=every["article"],
    )


def _procedure(key: str, it: Values) -> reg.Procedure:
    states = tuple(
        reg.State(row["key"], row["zh"], row["en"], reg.Phase(row["phase"]), row.get("final", False))
        for row in it["states"]
    )
    return reg.Procedure(key, states, tuple(_transition(row) for row in it["transitions"]))


def _transition(it: Values) -> reg.Transition:
    extends = it.get("extends")
    return reg.Transition(
        action=it["action"],
        zh=it["zh"],
        en=it["en"],
        from_states=frozenset(it["from"]),
        to_state=it["to"],
        by=frozenset(it["by"]),
        capability=it["capability"],
        requires=tuple(it.get("requires", ())),
        article=it["article"],
        extends=reg.Extension(**extends) if extends else None,
        opens_dispute=it.get("opens_dispute", False),
        publishes=it.get("publishes", False),
        **{
            key: it.get(key, "")
            for key in ("when", "proposes", "event", "clock", "pauses", "resumes", "restarts", "bars")
        },
    )


def lists_of(document: Document, cited: str | None = None) -> tuple[cat.DataList, ...]:
    """A catalogue file as values; code lists are put in place of their names.

    `cited` is the regulation whose articles are cited in full, where it is not the catalogue's user.
    """
    codes = {
        name: tuple(cat.Code(value, zh) for value, zh in rows.items())
        for name, rows in document.content["code_lists"].items()
    }
    return tuple(_list(_cited(it, cited), codes) for it in document.content["lists"])


def _cited(it: Values, regulation_id: str | None) -> Values:
    return it if regulation_id is None else with_full_citations(it, regulation_id)


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
        division=it.get("division", ""),
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
        only_with=_only_with(it["only_with"]) if "only_with" in it else None,
    )


def _only_with(it: Values) -> tuple[str, tuple[str, ...]]:
    return it["field"], tuple(it["values"])


def bodies_of(document: Document, roles: frozenset[str]) -> cat.Bodies:
    """A departments file as values, with those of the bodies' roles that the regulation knows."""
    it = document.content
    return cat.Bodies(
        it["regulation"], it["region"], it["sample"], tuple(_body(row, roles) for row in it["departments"])
    )


def _body(it: Values, roles: frozenset[str]) -> cat.Body:
    return cat.Body(
        word=it["word"],
        zh=it["zh"],
        short_zh=it["short_zh"],
        en=it["en"],
        kind=it["kind"],
        legal_names=tuple(it["legal_names"]),
        roles=tuple(role for role in it["roles"] if role in roles),
        duties=tuple(
            cat.Duty(row["number"], row["zh"], row["en"], row["ground"], row.get("sample", False))
            for row in it["duties"]
        ),
    )
