"""Masks by kind of item: enough to recognise the paper on the desk, never more than half of a value."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shuqiao.rules.masking import STARS, mask

KINDS = ("name", "citizen_id", "credit_code", "document", "contact", "address", "picture", "plain")


@pytest.mark.requirement("SEC-18")
@pytest.mark.parametrize(
    ("kind", "value", "masked"),
    [
        ("name", "李四", "李*"),
        ("name", "李", "*"),
        ("name", "欧阳小明", "欧***"),
        ("name", "示例某某有限公司", "示例****公司"),
        ("name", "ANNA LI", "A**** L****"),
        ("citizen_id", "440103199001011234", "440****34"),
        ("credit_code", "91440101MA5AAAAA0A", "91****0A"),
        ("document", "S000000003", "S0****03"),
        ("document", "7", STARS),
        ("contact", "13800000000", "138****00"),
        ("address", "样例市样例区某路1号之二", "样例市样例区****"),
        ("address", "广东省广州市天河区体育西路1号某大厦二座1802房", "广东省广州市天河区****"),
        ("plain", "1200.00", STARS),
        ("picture", "aGVsbG8=", None),
        ("name", None, None),
    ],
)
def test_each_kind_has_its_mask(kind: str, value: str | None, masked: str | None) -> None:
    assert mask(kind, value) == masked


@given(kind=st.sampled_from(KINDS), value=st.text(min_size=2, max_size=40).filter(str.strip))
def test_a_mask_shows_at_most_half_and_never_the_value(kind: str, value: str) -> None:
    masked = mask(kind, value)
    if masked is None:
        return
    if "*" not in value and " " not in value and kind != "name":
        assert len(masked.replace(STARS, "")) <= len(value) // 2
        assert value not in masked
