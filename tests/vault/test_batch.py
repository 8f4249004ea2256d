"""Checking a batch's identity columns; no database."""

import pyarrow as pa
import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from shuqiao.rules.normalise import normalise_value
from shuqiao.security.sealing import seal
from shuqiao.vault.batch import (
    _IN_FORM,
    _SHORTCUT_KINDS,
    BatchUnreadable,
    PreparedRow,
    ResourceForm,
    Said,
    decode_content,
    last_rows,
    open_batch,
    read_slices,
    subject_number,
)
from shuqiao.wire.package import encode_part
from shuqiao.wire.schemas import ItemSpec, ResourceSpec
from shuqiao.wire.vault import RowFault

from .births import BIRTH, HOUSEHOLD, HOUSEHOLD_RESOURCE, KEY, RESOURCE, Row, birth, citizen_number

FORM = ResourceForm.of(RESOURCE, BIRTH)


def read(
    rows: list[Row], *, form: ResourceForm = FORM, skip: tuple[int, ...] = ()
) -> tuple[list[PreparedRow], list[RowFault]]:
    """Check rows given as dictionaries."""
    sound: list[PreparedRow] = []
    faults: list[RowFault] = []
    part = pa.RecordBatch.from_pylist(rows, form.schema)
    for piece in read_slices(form, part, Said(frozenset(skip), frozenset())):
        sound += piece.rows
        faults += piece.faults
    return sound, faults


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        ("mother_citizen_id_number", "440103199001010000", "identifier_check_digit"),
        ("mother_citizen_id_number", "4401031990", "identifier_check_digit"),
        ("father_citizen_id_number", "44010319901301009X", "identifier_check_digit"),
        ("mother_name", None, "item_required"),
        ("mother_name", " \u3000 ", "item_required"),
        ("mother_name", "样" * 1025, "item_too_long"),
        (KEY, None, "item_required"),
        (KEY, "O44", "identifier_check_digit"),
    ],
)
def test_a_bad_value_refuses_its_row_only(field: str, value: str | None, code: str) -> None:
    sound, faults = read([birth(1), birth(2, **{field: value}), birth(3)])
    assert [row.row for row in sound] == [0, 2]
    assert faults == [RowFault(1, field, code)]


@pytest.mark.requirement("ING-03", source="SY:17")
@pytest.mark.requirement("ING-03", source="GZ165:20¶2")
@pytest.mark.parametrize(
    ("field", "kind", "good", "bad"),
    [
        ("holder_number", "citizen_id", citizen_number(7, "19900101"), "440103199001010000"),
        ("unified_social_credit_code", "credit_code", "91350100M000100Y43", "91350100M000100Y44"),
        ("unified_social_credit_code", "credit_code", "91350100M000100Y43", "91350100M000100Y4"),
        ("organisation_code", "document", "D2143569-X", "D2143569-1"),
        ("organisation_code", "document", "D2143569X", "D214356X"),
        ("enterprise_registration_number", "document", "110108000000016", "1101080000000"),
        ("birth_certificate_number", "document", "O440000001", "4400000010"),
        ("id_document_number", "document", "E12345678", "护照 <E12345678>"),
    ],
)
def test_each_kind_of_number_is_judged_by_its_own_rule(field: str, kind: str, good: str, bad: str) -> None:
    """What comes in with a sound number is kept, a row with a wrong one is refused with item and code."""
    item = ItemSpec(field, "号码", "Number", "string", True, kind, 2, True)  # type: ignore[arg-type]
    form = ResourceForm.of(RESOURCE, ResourceSpec(field, ("verify",), (item,)))
    sound, faults = read([{field: good}, {field: bad}], form=form)
    assert [row.row for row in sound] == [0]
    assert faults == [RowFault(1, field, "identifier_check_digit")]


def test_impossible_birth_date_has_its_own_code() -> None:
    bad = citizen_number(7, "19901301")
    assert read([birth(1, mother_citizen_id_number=bad)])[1] == [
        RowFault(0, "mother_citizen_id_number", "date_impossible")
    ]


def test_every_fault_of_a_row_is_told() -> None:
    _, faults = read([birth(1, mother_name=None, father_citizen_id_number="1")])
    assert {fault.item for fault in faults} == {"mother_name", "father_citizen_id_number"}


def test_numbers_of_rows_survive_slices_and_skips() -> None:
    rows = [birth(serial) for serial in range(1, 701)]
    sound, faults = read(rows, skip=(0, 300, 699))
    assert [row.row for row in sound] == [row for row in range(700) if row not in (0, 300, 699)]
    assert faults == []


def test_values_are_kept_as_written_and_found_in_one_form() -> None:
    (row,), _ = read([birth(1, mother_name=" 古丽・样例 ", mother_citizen_id_number=" 11010519491231002x ")])
    assert decode_content(row.content)["mother_name"] == " 古丽・样例 "
    assert ("mother_name", "古丽·样例") in row.names
    assert ("mother_citizen_id_number", "citizen_id", "11010519491231002X") in row.related


def test_equal_rows_have_equal_content_whatever_the_order_of_items() -> None:
    turned = ResourceForm.of(RESOURCE, ResourceSpec(KEY, BIRTH.modes, tuple(reversed(BIRTH.items))))
    assert turned.schema != FORM.schema
    assert read([birth(1)], form=turned)[0] == read([birth(1)])[0]


def test_unknown_codes_are_refused() -> None:
    spec = ResourceSpec(
        "number",
        ("verify",),
        (
            ItemSpec("number", "号", "No", "string", True, "document"),
            ItemSpec("state", "状态", "State", "code", True, "plain", 1, False, ("正常", "注销")),
            ItemSpec("name", "名", "Name", "string", True, "name", 1, True),
        ),
    )
    form = ResourceForm.of(RESOURCE, spec)
    rows: list[Row] = [{"number": "A1", "state": "未知", "name": "样例"}, {"number": "A2", "name": "样例"}]
    assert read(rows, form=form)[1] == [RowFault(0, "state", "item_code_unknown")]


def test_own_number_names_the_subject() -> None:
    form = ResourceForm.of(HOUSEHOLD_RESOURCE, HOUSEHOLD)
    number = citizen_number(5)
    row: Row = {"citizen_id_number": number, "name": "样例", "photo": b"\x01\x02"}
    (sound,), _ = read([row], form=form)
    assert sound.own == ("citizen_id", number) and sound.related == ()
    assert decode_content(sound.content)["photo"] == "AQI="
    document = ItemSpec("id_document_number", "号码", "Number", "string", True, "document")
    assert subject_number(document, number) == ("citizen_id", number)
    assert subject_number(document, "G12345678") is None


def test_later_row_of_one_key_wins() -> None:
    rows, _ = read([birth(1, mother_name="样例甲"), birth(2), birth(1, mother_name="样例乙")])
    kept, faults = last_rows(rows, KEY)
    assert [row.row for row in kept] == [1, 2]
    assert faults == [RowFault(0, KEY, "duplicate_key")]


def test_shortcut_agrees_with_the_rule() -> None:
    """Each character the shortcut lets through is its own one form, alone and between others."""
    for point in [*range(0x30, 0x3A), *range(0x41, 0x5B), *range(0x4E00, 0xA000)]:
        for text in (chr(point), f"A{chr(point)}9", f"样{chr(point)}例"):
            assert _IN_FORM.fullmatch(text)
            for kind in _SHORTCUT_KINDS:
                assert normalise_value(kind, "string", text) == text
    for text in ("a", " 样例", "样例 ", "样·例", "１", "", "A-1", "样\n"):
        assert not _IN_FORM.fullmatch(text)


PLAIN = pa.RecordBatch.from_pylist([birth(1)], FORM.schema)


@pytest.mark.parametrize(
    "part",
    [
        PLAIN.append_column("sex_code", pa.array(["1"])),
        PLAIN.drop_columns(["mother_name"]),
        PLAIN.select(list(reversed(PLAIN.schema.names))),
        PLAIN.set_column(0, KEY, pa.array([1])),
        pa.concat_batches([PLAIN, PLAIN]),
    ],
)
def test_other_columns_or_rows_than_agreed_are_refused(part: pa.RecordBatch) -> None:
    key = X25519PrivateKey.generate()
    assert open_batch(key, seal(key.public_key(), encode_part(PLAIN), b"c"), b"c", FORM, 1) == PLAIN
    with pytest.raises(BatchUnreadable):
        open_batch(key, seal(key.public_key(), encode_part(part), b"c"), b"c", FORM, 1)


def test_record_key_must_be_an_identity_item() -> None:
    spec = ResourceSpec("number", (), (ItemSpec("number", "号", "No", "string"),))
    with pytest.raises(BatchUnreadable):
        ResourceForm.of(RESOURCE, spec)


def test_unreadable_seal_or_stream_is_refused() -> None:
    key = X25519PrivateKey.generate()
    for sealed in (b"", b"garbage", seal(key.public_key(), b"no arrow", b"c")):
        with pytest.raises(BatchUnreadable):
            open_batch(key, sealed, b"c", FORM, None)
