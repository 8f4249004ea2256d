"""Many cases at once: an outcome for each, one publication, and nothing left half done."""

from dataclasses import replace

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from shuqiao.control.accounts.access import FormRefused
from shuqiao.control.accounts.models import Notification
from shuqiao.control.catalogue.models import Resource, ResourceVersion, SharingVersion, SubjectSequence
from shuqiao.control.compiling import publishing
from shuqiao.control.compiling.actions import MAX_AT_ONCE, accept_rest, take_steps
from shuqiao.control.compiling.drafts import DraftInput, save_drafts
from shuqiao.control.compiling.models import Compilation, CompilationEvent
from shuqiao.control.organisations.models import Department
from shuqiao.rules.errors import MarksMissing, RowsTooMany, TransitionRefused
from tests.control.conftest import audit_entries

from .conftest import CHAINS, STATUS, entry


def many(office, count: int, start: int = 0) -> list[str]:
    """Drafts of entries with items that nobody else claims."""
    given = [
        DraftInput(
            content=entry(
                name_zh=f"批量条目第{n}号",
                record_key="",
                modes=(),
                items=(replace(STATUS, field=f"own_{n}", zh=f"自有信息项第{n}号"),),
            )
        )
        for n in range(start, start + count)
    ]
    return [draft.number for draft in save_drafts(office.viewer("hou"), given)]


def all_the_way(office, numbers: list[str], until: str = "") -> None:
    """Send these cases and take every step of the chain, together."""
    assert all(one.done for one in take_steps(office.viewer("hou"), numbers, "submit"))
    for action, by in CHAINS[office.rules]:
        if action == until:
            return
        outcomes = take_steps(office.viewer(by), numbers, action)
        if not outcomes[0].done:
            for number in numbers:
                accept_rest(office.viewer(by), number)
            outcomes = take_steps(office.viewer(by), numbers, action)
        assert all(one.done for one in outcomes), outcomes


@pytest.mark.requirement("CAT-10")
@pytest.mark.requirement("CAT-14")
def test_a_publication_of_many_tells_every_department_once(office):
    numbers = many(office, 12)
    all_the_way(office, numbers)
    ids = [office.case(number).resource for number in numbers]
    assert Resource.objects.filter(id__in=ids, state="published").count() == 12
    assert ResourceVersion.objects.filter(resource__in=ids).count() == 12
    assert SharingVersion.objects.filter(resource__in=ids, change="added").count() == 12
    assert len({row.code for row in Resource.objects.filter(id__in=ids)}) == 12
    assert len([row for row in audit_entries("entry_published") if row[5] in numbers]) == 12
    told = Notification.objects.filter(code="catalogue_published")
    assert told.count() == Department.objects.filter(active=True).count()
    assert set(told.values_list("params__count", flat=True)) == {12}


def test_each_case_has_its_own_outcome(office):
    numbers = many(office, 4)
    assert take_steps(office.viewer("hou"), numbers[:1], "withdraw")[0].done
    broken = office.draft(scope="", name_zh="缺使用范围", platform="", timeliness="")
    asked = [*numbers, broken, "C-2026-9999"]
    outcomes = take_steps(office.viewer("hou"), asked, "submit")
    assert [one.number for one in outcomes] == asked
    assert [one.done for one in outcomes] == [False, True, True, True, False, False]
    assert isinstance(outcomes[0].error, TransitionRefused)
    assert isinstance(outcomes[4].error, FormRefused)
    for one in outcomes:
        assert one.message.zh and one.message.en
    assert office.case(broken).phase == "draft"


def test_items_are_looked_at_one_by_one_in_bulk_too(under):
    office = under("guangzhou-2019")
    numbers = many(office, 3)
    take_steps(office.viewer("hou"), numbers, "submit")
    accept_rest(office.viewer("zheng"), numbers[0])
    outcomes = take_steps(office.viewer("zheng"), numbers, "compile")
    assert [one.done for one in outcomes] == [True, False, False]
    assert isinstance(outcomes[1].error, MarksMissing)


def test_the_number_of_statements_does_not_grow_with_the_cases(guangzhou):
    counted = []
    for count, start in ((3, 0), (30, 100)):
        numbers = many(guangzhou, count, start)
        all_the_way(guangzhou, numbers, until="publish")
        with CaptureQueriesContext(
            connection,
        ) as captured:
            outcomes = take_steps(guangzhou.viewer("zheng"), numbers, "publish")
        assert all(one.done for one in outcomes)
        # The log is written by one call for each entry, in one round trip.
        counted.append(len([q for q in captured if "audit.append" not in q["sql"]]))
    assert counted[1] <= counted[0] + 2


def test_a_publication_cut_off_in_the_middle_leaves_nothing(guangzhou, monkeypatch):
    numbers = many(guangzhou, 5)
    all_the_way(guangzhou, numbers, until="publish")
    before = (
        Resource.objects.count(), CompilationEvent.objects.count(), SubjectSequence.objects.count(),
    )  # fmt: skip
    for place in ("_write_versions", "_write_sharing", "_index", "_tell_all"):

        def cut_off(*_args, **_kwargs):
            raise RuntimeError("the process is gone")

        with monkeypatch.context() as patched, transaction.atomic():
            patched.setattr(publishing, place, cut_off)
            with pytest.raises(RuntimeError), transaction.atomic():
                take_steps(guangzhou.viewer("zheng"), numbers, "publish")
        assert set(Compilation.objects.values_list("state", flat=True)) == {"approved"}
        assert before == (
            Resource.objects.count(), CompilationEvent.objects.count(), SubjectSequence.objects.count(),
        )  # fmt: skip
        assert not [row for row in audit_entries("entry_published") if row[5] in numbers]
    assert all(one.done for one in take_steps(guangzhou.viewer("zheng"), numbers, "publish"))


def test_too_many_at_once_are_refused_whole(guangzhou):
    with pytest.raises(RowsTooMany):
        take_steps(guangzhou.viewer("hou"), [f"C-2026-{n:05d}" for n in range(MAX_AT_ONCE + 1)], "submit")
    assert take_steps(guangzhou.viewer("hou"), [], "submit") == ()
