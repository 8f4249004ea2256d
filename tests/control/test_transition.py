"""A new version of the rules: what is open keeps the old one, or passes to it, as the file says (VAL-03)."""

import shutil
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from django.conf import settings as configured

from shuqiao.control.clocks.queries import clocks_of
from shuqiao.control.disputes.models import Dispute
from shuqiao.control.operations.transition import pass_open_cases
from shuqiao.control.regulations import files
from shuqiao.control.regulations.current import named
from shuqiao.control.requests.actions import dispute_request, submit_request
from shuqiao.control.requests.answering import answer_request
from shuqiao.control.requests.models import Request
from shuqiao.rules.regulation import OpenCases
from tests.control.conftest import audit_entries

PASSING, KEEPING = "guangzhou-2090", "guangzhou-2091"


@pytest.fixture
def versions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two later versions of the rules in use: 3 days to reply, and what is open passes or keeps."""
    folder = tmp_path / "regulations"
    shutil.copytree(files.regulations_dir(), folder)
    old = (folder / "guangzhou-2016.yaml").read_text(encoding="utf-8")
    for name, what in ((PASSING, "pass"), (KEEPING, "keep")):
        new = old.replace("id: guangzhou-2016", f"id: {name}", 1)
        new = new.replace(
            "key: reply, zh: 答复, en: Reply, working_days: 10",
            "key: reply, zh: 答复, en: Reply, working_days: 3",
        )
        new = new.replace("open_cases: keep", f"open_cases: {what}")
        new = new.replace(
            "{key: refused, zh: 不予共享, en: Refused", "{key: refused, zh: 拒绝共享, en: Turned down"
        )
        (folder / f"{name}.yaml").write_text(new, encoding="utf-8")
    monkeypatch.setattr(files, "regulations_dir", lambda: folder)


def bring_into_force(settings, name: str) -> None:
    """Start the installation with another regulation."""
    settings.CONFIG = replace(configured.CONFIG, regulation=name)


def regulation_of(number: str) -> str:
    """Under which rules a request stands."""
    return Request.objects.get(number=number).regulation


@pytest.mark.requirement("VAL-03", source="GZ16:50")
def test_open_cases_keep_the_rules_they_were_opened_under(city, settings, versions) -> None:
    number = submit_request(city.viewer("lin"), city.wanted())
    bring_into_force(settings, KEEPING)
    assert named(KEEPING).open_cases is OpenCases.KEEP
    assert pass_open_cases() == 0
    assert regulation_of(number) == "guangzhou-2016" and audit_entries("case_passed") == []
    later = submit_request(city.viewer("lin"), city.wanted())
    assert regulation_of(later) == KEEPING
    due = {n: clocks_of("request", [n])[n][0].due_on for n in (number, later)}
    assert due == {number: date(2026, 11, 25), later: date(2026, 11, 16)}
    # The answer to the old case is worded and recorded by the old rules.
    refuse = city.answer(decisions=dict.fromkeys(city.wanted().items, False), refusal_reason="依法不予共享")
    answer_request(city.viewer("chen"), number, refuse)
    assert regulation_of(number) == "guangzhou-2016"


@pytest.mark.requirement("VAL-03", source="GZ16:50")
def test_open_cases_pass_where_the_new_file_says_so(city, settings, versions) -> None:
    lin, chen = city.viewer("lin"), city.viewer("chen")
    waiting, disputed, done = (submit_request(lin, city.wanted()) for _ in range(3))
    refuse = city.answer(decisions=dict.fromkeys(city.wanted().items, False), refusal_reason="依法不予共享")
    answer_request(chen, disputed, refuse)
    dispute_request(lin, disputed, "职权有据")
    answer_request(chen, done, city.answer())
    bring_into_force(settings, PASSING)
    assert pass_open_cases() == 3, "two requests and the dispute; what is granted has ended"
    assert pass_open_cases() == 0
    assert {regulation_of(waiting), regulation_of(disputed)} == {PASSING}
    assert regulation_of(done) == "guangzhou-2016"
    assert Dispute.objects.get().regulation == PASSING
    assert {entry[-2:] for entry in audit_entries("case_passed")} == {
        (number, PASSING) for number in (waiting, disputed, Dispute.objects.get().number)
    }
    # What ran already runs on as it was; what is answered now is answered under the new rules.
    assert clocks_of("request", [waiting])[waiting][0].due_on == date(2026, 11, 25)
    answer_request(chen, waiting, refuse)
    answered = Request.objects.get(number=waiting)
    assert named(answered.regulation).procedure("request").state(answered.state).zh == "拒绝共享"
    assert clocks_of("request", [waiting])[waiting][0].state == "met"


@pytest.mark.requirement("VAL-03", source="XM:22")
def test_a_case_never_passes_to_another_citys_rules_nor_into_a_state_they_lack(city, settings) -> None:
    number = submit_request(city.viewer("lin"), city.wanted())
    settings.CONFIG = replace(configured.CONFIG, regulation="xiamen-2015")
    changed = replace(named("xiamen-2015"), open_cases=OpenCases.PASS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("shuqiao.control.operations.transition.regulation", lambda: changed)
        assert pass_open_cases() == 0
    assert regulation_of(number) == "guangzhou-2016"
    # In the same city, but with a procedure that knows no state `submitted`.
    elsewhere = replace(named("shenyang-2016"), region="440100", open_cases=OpenCases.PASS, procedures={})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("shuqiao.control.operations.transition.regulation", lambda: elsewhere)
        assert pass_open_cases() == 0
    assert regulation_of(number) == "guangzhou-2016"
