"""Each night the log gets room for the months to come, and loses the text its retention no longer keeps."""

import pytest
from django.utils import timezone

from shuqiao.control.operations.keeping import MONTHS_AHEAD, keep_log
from shuqiao.control.regulations.current import regulation
from shuqiao.wire.messages import new_entry_id

from .conftest import BIRTH, audit_entries, rows
from .test_audit import execute


def old_entry(months: int) -> str:
    """A numbered entry that is so many months old."""
    now = timezone.now()
    year, month = divmod(now.year * 12 + now.month - 1 - months, 12)
    at = now.replace(year=year, month=month + 1, day=1)
    entry = new_entry_id(at)
    execute(
        "SELECT audit.append(%s, %s, 'query', '440100-housing', '440100-health', 'app', %s, NULL, NULL,"
        " 'GZF-1', 'answered', '{}')",
        entry, at, BIRTH,
    )  # fmt: skip
    execute("INSERT INTO audit.leaf SELECT count(*), %s, sha256('x') FROM audit.leaf", entry)
    return str(entry)


@pytest.mark.requirement("SEC-05")
def test_the_text_goes_as_the_regulation_says_and_the_columns_stay(city):
    rules = regulation()
    gone = {old_entry(rules.body_months + 1), old_entry(rules.body_months + 30)}
    kept = old_entry(rules.body_months - 1)
    assert keep_log() == 2
    found = rows("SELECT id::text, body IS NULL, case_no FROM audit.entry WHERE event = 'query'")
    assert {one for one, is_gone, _ in found if is_gone} == gone
    assert {one for one, is_gone, _ in found if not is_gone} == {kept}
    assert {case for _, _, case in found} == {"GZF-1"}
    assert len(audit_entries("bodies_pruned")) == 1
    assert keep_log() == 0


def test_the_retention_is_told_once_and_the_months_are_there(city):
    keep_log()
    keep_log()
    rules = regulation()
    assert rows("SELECT body_months, regulation FROM audit.retention") == [(rules.body_months, rules.id)]
    assert len(audit_entries("retention_set")) == 1
    [(parts,)] = rows("SELECT count(*) FROM pg_inherits WHERE inhparent = 'audit.entry'::regclass")
    assert parts >= MONTHS_AHEAD
