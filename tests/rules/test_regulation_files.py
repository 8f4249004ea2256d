"""Data files: what ships is sound; whatever is wrong is refused with file, line and reason."""

import shutil
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from shuqiao.control.regulations import files
from shuqiao.control.regulations.documents import parse_document
from shuqiao.rules.errors import RegulationInvalid
from shuqiao.rules.regulation import SETTING

REGULATION = "guangzhou-2016.yaml"
CATALOGUE = "catalogue/guangzhou-2016.yaml"
DEPARTMENTS = "departments/guangzhou-2016.yaml"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the shipped folder that a test may spoil."""
    copy = tmp_path / "regulations"
    shutil.copytree(files.regulations_dir(), copy)
    return copy


def spoil(folder: Path, name: str, old: str, new: str) -> int:
    """Replace the first `old` of a file and tell its line."""
    text = (folder / name).read_text(encoding="utf-8")
    assert old in text, old
    (folder / name).write_text(text.replace(old, new, 1), encoding="utf-8")
    return text[: text.index(old)].count("\n") + 1


def load(folder: Path, name: str) -> None:
    """Load the file and what it rests on."""
    if name.startswith("calendars"):
        files.load_calendar("cn", folder)
        return
    regulation = files.load_regulation("guangzhou-2016", folder)
    if name == DEPARTMENTS:
        files.load_departments(regulation, folder)
    elif name == CATALOGUE:
        files.load_catalogue(regulation, folder)


def test_what_ships_says_what_the_law_says() -> None:
    rules = files.load_regulation("guangzhou-2016")
    terms = {deadline.key: (deadline.working_days, deadline.article) for deadline in rules.deadlines}
    assert terms["reply"] == (10, "35(1)")
    assert terms["provide"] == (5, "35(1)")
    assert terms["execute_ruling"] == (5, "35(3)")
    assert terms["forward"] == (5, "37")
    assert terms["persons_change"] == (5, "34(2)")
    assert {terms[key][0] for key in terms if key.startswith("objection")} == {3}
    assert rules.share_types.types == ()
    assert len(rules.catalogue_fields) == 8
    assert [step.key for step in rules.catalogue_chain] == ["compiled", "verified", "approved", "published"]
    assert (rules.validity.valid_from, rules.validity.valid_until) == (date(2016, 7, 1), date(2021, 6, 30))
    assert rules.period.article == SETTING and rules.start_day_article == SETTING


@pytest.mark.parametrize(
    "number",
    [f"{deadline.working_days}个工作日" for deadline in files.load_regulation("guangzhou-2016").deadlines],
)
def test_every_term_stands_in_the_article_it_cites(number: str) -> None:
    rules = files.load_regulation("guangzhou-2016")
    for deadline in rules.deadlines:
        if f"{deadline.working_days}个工作日" == number:
            assert number in files.article_text(rules, deadline.article), deadline.key


def test_an_unspoilt_copy_loads(folder: Path) -> None:
    for name in (REGULATION, DEPARTMENTS, CATALOGUE, "calendars"):
        load(folder, name)


WRONG: list[tuple[str, str, str, str]] = [
    (REGULATION, "working_days: 10,", "working_days: ten,", "not of type"),
    (REGULATION, "working_days: 10,", "working_days: 0,", "less than the minimum"),
    (REGULATION, "working_days: 10,", "working_day: 10,", ""),
    (REGULATION, 'article: "50"', 'article: "51"', "no article 51"),
    (REGULATION, 'article: "35(3)", starts', 'article: "35(9)", starts', "no article 35(9)"),
    (REGULATION, "to: submitted", "to: sent", "no state is called sent"),
    (REGULATION, "from: [draft], to: submitted", "from: [draught], to: submitted", "draught"),
    (REGULATION, "from: [refused, partly_approved], to", "from: [approved], to", "no state with a way out"),
    (REGULATION, "by: platform_agency", "by: nobody", "no body role is called nobody"),
    (REGULATION, "capability: request_answer", "capability: request_anser", "no role may do this"),
    (REGULATION, "until: 2021-06-30", "until: 2021-06-31", "no day of the calendar"),
    (REGULATION, "until: 2021-06-30", "until: 2011-06-30", "before the first"),
    (REGULATION, "default_months: 12", "default_months: 13", "exceeds"),
    (
        REGULATION,
        "may: [catalogue_search, request",
        "may: [catalogue_seek, request",
        "no capability is called",
    ),
    (
        REGULATION,
        "by: [competent], capability: dispute_coordinate, requires: [minutes]",
        "by: [nobody], capability: dispute_coordinate, requires: [minutes]",
        "no side or body role is called nobody",
    ),
    (REGULATION, "requires: [overdue, reason]", "requires: [overdue, rhyme]", "nothing checks rhyme"),
    (REGULATION, "requires: [session]", "when: sunny, requires: [session]", "nothing decides"),
    (REGULATION, "requires: [session]", "when: immediate, requires: [session]", "go together"),
    (REGULATION, "clock: reply,", "clock: replies,", "no deadline is called replies"),
    (REGULATION, "bars: it_projects", "bars: cinema", "no sanction is called cinema"),
    (REGULATION, "starts_on: ruled,", "starts_on: judged,", "nothing brings about judged"),
    (REGULATION, "met_by: executed,", "met_by: done,", "nothing brings about done"),
    (REGULATION, "deadline: objection_check,", "deadline: objection,", "no deadline is called objection"),
    (REGULATION, "decided_by: provider", "decided_by: judge", "no body role is called judge"),
    (
        REGULATION,
        'to: settled_no, by: [system], capability: "", article: "35(2)"',
        'to: withdrawn, by: [system], capability: "", article: "35(2)"',
        "no step leads to settled_no",
    ),
    (
        REGULATION,
        "zh: 已撤回, en: Withdrawn, phase: closed, final: true",
        "zh: 已撤回, en: Withdrawn, phase: closed",
        "no step leaves withdrawn",
    ),
    (REGULATION, "event: answered_no,", "proposes: refused, event: answered_no,", "what is proposed"),
    (REGULATION, "unknown: []", "unknown: [sanctions]", "sanctions must be given or named"),
    (REGULATION, "unknown: []", "unknown: [weather]", "is not one of"),
    (REGULATION, "unknown: []", "unknown: []\nfallback: guangzhou-2016", "falls back to itself"),
    (REGULATION, "base_items: {lists: {}}", "base_items: {lists: {birth: [sex]}}", "base items need"),
    (REGULATION, "id: guangzhou-2016", "id: guangzhou-2017", "called guangzhou-2016.yaml"),
    (REGULATION, "key: leader", "key: clerk", "twice"),
    (REGULATION, "level: city", "level: city\nlevel: district", "twice"),
    (REGULATION, "level: city", "level: *city", "alias"),
    (REGULATION, "unknown: []", "unknown: [", ""),
    (REGULATION, "unknown: []", "unknown:", "not of type 'array'"),
    (REGULATION, "text: texts/", "text: ../texts/", "does not match"),
    (REGULATION, "text: texts/guangzhou-2016-rules.txt", "text: texts/missing.txt", "can't be read"),
    (CATALOGUE, "kind: citizen_id", "kind: citizen", "is not one of"),
    (CATALOGUE, "identity: true, kind: citizen_id", "identity: false, kind: citizen_id", ""),
    (CATALOGUE, "record_key: citizen_id_number", "record_key: nothing", "record key"),
    (CATALOGUE, "departments: [police]", "departments: [polis]", "no department is called polis"),
    (CATALOGUE, "codes: ethnic_groups", "codes: ethnic", "no code list is called ethnic"),
    (CATALOGUE, "number: 2, field: citizen_id_number", "number: 1, field: citizen_id_number", "one place"),
    (CATALOGUE, "field: citizen_id_number", "field: name", "twice"),
    (CATALOGUE, 'article: "12(2)"', 'article: "12(7)"', "no article 12(7)"),
    (CATALOGUE, "regulation: guangzhou-2016", "regulation: xiamen-2015", "called guangzhou-2016.yaml"),
    (DEPARTMENTS, "roles: [provider, requester]", "roles: [owner]", "no body role is called owner"),
    (DEPARTMENTS, "legal_names: [民政部门]", "legal_names: [公安机关]", "stands for two"),
    ("calendars/cn-2026.yaml", "date: 2026-01-02", "date: 2026-01-32", "no day"),
    ("calendars/cn-2026.yaml", "date: 2026-01-02", "date: 2025-01-02", "another year"),
    ("calendars/cn-2026.yaml", "date: 2026-02-14", "date: 2026-02-13", "no weekend day"),
    ("calendars/cn-2026.yaml", "year: 2026", "year: 2025", "another year"),
]


@pytest.mark.parametrize(("name", "old", "new", "reason"), WRONG)
def test_a_fault_is_refused_with_its_line(folder: Path, name: str, old: str, new: str, reason: str) -> None:
    line = spoil(folder, name, old, new)
    with pytest.raises(RegulationInvalid) as caught:
        load(folder, name)
    fields = caught.value.fields
    assert reason in fields["reason"]
    assert fields["file"] == Path(name).name or "missing" in new
    # A fault of the file's form may only show on a later line, one of a nested value on that of its parent,
    # and a state that nothing reaches is shown, not the step that no longer leads there.
    elsewhere = reason.startswith(("alias", "no step leads to")) or "missing" in new
    assert abs(int(fields["line"]) - line) <= 6 or elsewhere, fields
    assert fields["file"] in caught.value.explain("zh") and fields["reason"] in caught.value.explain("en")


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _only_comments(path: Path) -> None:
    path.write_text("# nothing\n", encoding="utf-8")


def _not_utf8(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:200] + b"\xff\xfe")


def _gone(path: Path) -> None:
    path.unlink()


def _huge(path: Path) -> None:
    path.write_text("# x\n" * 600_000, encoding="utf-8")


def _cut(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: content.rindex(b": ", 0, len(content) // 2) + 1])


@pytest.mark.parametrize("damage", [_empty, _only_comments, _not_utf8, _gone, _huge, _cut])
@pytest.mark.parametrize("name", [REGULATION, CATALOGUE, DEPARTMENTS, "calendars/cn-2020.yaml"])
def test_a_damaged_file_is_never_read_as_empty(
    folder: Path, name: str, damage: Callable[[Path], None]
) -> None:
    damage(folder / name)
    if damage is _gone and name.startswith("calendars"):
        # A year without a file is not announced: what touches it is provisional, not wrong.
        assert 2020 not in files.load_calendar("cn", folder).years
        return
    with pytest.raises(RegulationInvalid):
        load(folder, name)


@pytest.mark.parametrize(
    "name", ["../x-2016", "guangzhou-2099", "", "x" * 100, "guangzhou-2016.yaml", "/etc/passwd"]
)
def test_an_id_that_names_no_regulation_is_refused(name: str) -> None:
    with pytest.raises(RegulationInvalid):
        files.load_regulation(name)
    with pytest.raises(RegulationInvalid):
        files.load_calendar(name)


def test_values_keep_their_kind_however_they_are_written() -> None:
    content = parse_document(
        "x.yaml", "a: no\nb: 2016-07-01\nc: 1.5\nd: 010\ne: 12\nf: true\ng: ~\nh: 1e3"
    ).content
    assert content == {
        "a": "no",
        "b": "2016-07-01",
        "c": "1.5",
        "d": "010",
        "e": 12,
        "f": True,
        "g": "~",
        "h": "1e3",
    }
