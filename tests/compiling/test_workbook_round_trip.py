"""Whatever an entry says, its workbook says the same, and reading it gives the entry back."""

import io
from datetime import date
from types import MappingProxyType

from hypothesis import given, settings
from hypothesis import strategies as st

from shuqiao.control.catalogue.vocabulary import NAMES, vocabulary
from shuqiao.control.compiling.fields import ITEM_KIND_WORDS
from shuqiao.control.compiling.workbook.choices import Choices
from shuqiao.control.compiling.workbook.export import write_entries
from shuqiao.control.compiling.workbook.faults import FaultList
from shuqiao.control.compiling.workbook.reading import WorkbookReading
from shuqiao.control.compiling.workbook.template import Front
from shuqiao.control.documents.spreadsheet import Spreadsheet
from shuqiao.control.texts import Text
from shuqiao.rules.entries import Entry, EntryItem
from shuqiao.rules.entry_faults import is_plain
from shuqiao.rules.sharing import RANKS

DEPARTMENTS = {
    "440100-health": Text("市卫生健康委员会", "Health Commission"),
    "440100-police": Text("市公安局", "Public Security Bureau"),
    "440105-office": Text("区政府办公室、外事办公室", "Office"),
    "440106-office": Text("区政府办公室、外事办公室 440106-office", "Office"),
}
LISTS = MappingProxyType(
    {
        **{name: getattr(vocabulary(), name) for name in NAMES},
        "types": {"all": Text("无条件共享", "To all"), "some": Text("有条件共享", "On conditions")},
        "relations": {"approval": Text("行政审批", "Approval"), "credit": Text("信用、监管", "Credit")},
        "ranks": {key: Text(one.zh, one.en) for key, one in RANKS.items()},
        "kinds": ITEM_KIND_WORDS,
        "departments": DEPARTMENTS,
        "duties": {"1": Text("1 办理登记", "1 Registers"), "12": Text("12 监管", "12 Supervises")},
    }
)
CHOICES = Choices(LISTS)
FRONT = Front("工作簿", "样例规则", frozenset())

odd = st.sampled_from(
    ["=1+1", "@SUM(A1)", "_x0041_", "_x000D_", "'是", "010", "1E5", "是", "2027-01-01", "a；b、c,d", "\ta\nb"]
)
texts = (st.text(max_size=60) | odd).map(lambda text: text.replace("\r", "\n").strip()).filter(is_plain)
named = texts.filter(bool)


def one_of(name: str) -> st.SearchStrategy[str]:
    """A key of a list, or nothing."""
    return st.sampled_from(["", *LISTS[name]])


def several(name: str) -> st.SearchStrategy[tuple[str, ...]]:
    """Keys of a list."""
    return st.lists(st.sampled_from([*LISTS[name]]), unique=True, max_size=4).map(tuple)


TEXTS = (
    "name_zh", "name_en", "summary_zh", "summary_en", "subject", "unit", "system", "format_detail", "ground",
    "conditions", "scope", "use", "open_conditions", "timeliness", "platform", "record_key", "legal_ground",
    "obliged_by", "superior_system", "matters", "city_entry",
)  # fmt: skip
ids = st.from_regex(r"r440100[a-z2-7]{10}", fullmatch=True)
items = st.builds(
    EntryItem,
    field=st.from_regex(r"[a-z][a-z0-9_]{0,20}", fullmatch=True),
    zh=named,
    en=texts,
    data_type=st.sampled_from([*LISTS["data_types"]]),
    length=st.none() | st.integers(1, 1_000_000),
    standard=texts,
    code_list=texts,
    codes=st.lists(st.tuples(named, texts), max_size=3).map(tuple),
    sensitivity=st.integers(0, 4),
    business_secret=st.booleans(),
    identity=st.booleans(),
    kind=st.sampled_from([*ITEM_KIND_WORDS]),
    required=st.booleans(),
    key=st.booleans(),
    timestamp=st.booleans(),
    share_type=one_of("types"),
    note=texts,
)
entries = st.builds(
    Entry,
    **dict.fromkeys(TEXTS, texts),
    department=one_of("departments"),
    collecting=one_of("departments"),
    verifying=one_of("departments"),
    joint=several("departments"),
    shared_with=several("departments"),
    origin=one_of("origins"),
    forms=several("forms"),
    format=one_of("formats"),
    library_kind=one_of("library_kinds"),
    library=one_of("libraries"),
    share_type=one_of("types"),
    ground_rank=one_of("ranks"),
    relations=several("relations"),
    manner=several("manners"),
    modes=several("modes"),
    open_to_public=st.none() | st.booleans(),
    update_cycle=one_of("cycles"),
    shared_until=st.none() | st.dates(date(1900, 3, 1), date(9999, 12, 31)),
    duty=st.none() | st.sampled_from([1, 12]),
    digitisation=one_of("digitisation"),
    return_flow=one_of("return_flow"),
    related=st.lists(ids, unique=True, max_size=3).map(tuple),
    not_secret=st.booleans(),
    storage_gb=st.none() | st.integers(0, 10**15 - 1),
    records=st.none() | st.integers(0, 10**15 - 1),
    items=st.lists(items, max_size=4, unique_by=lambda item: item.field).map(tuple),
)  # fmt: skip


def read(content: bytes) -> tuple[list[Entry], FaultList]:
    """The entries of a workbook and its faults."""
    faults, told = FaultList(), list[tuple[int, int]]()
    with Spreadsheet(io.BytesIO(content)) as book:
        reading = WorkbookReading(book, CHOICES, faults, lambda *progress: told.append(progress))
        try:
            found = [one.entry for one in reading.entries()]
            assert told == sorted(told) and told[-1][1] <= 100
            return found, faults
        finally:
            reading.close()


@settings(max_examples=60, deadline=None)
@given(st.lists(entries, min_size=1, max_size=3))
def test_what_is_written_is_read_again(wanted):
    out = io.BytesIO()
    write_entries(out, [(f"r440100aaaaaaaaa{n + 2}/1", one) for n, one in enumerate(wanted)], CHOICES, FRONT)
    found, faults = read(out.getvalue())
    assert [one.code for one in faults.kept] == []
    assert found == wanted
