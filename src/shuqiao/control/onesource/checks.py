"""Checking a form for what needn't be asked, and keeping that it was checked (COL-04).

Source: guangzhou-2016 art. 49; guangzhou-2019 art. 4(3); xiamen-2015 art. 14; shenyang-2016 art. 20(5).
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from django.db import transaction

from shuqiao.control import clock
from shuqiao.control.accounts.access import Fault, FormRefused, Viewer, require
from shuqiao.control.accounts.capabilities import Capability
from shuqiao.control.audit.actions import append_entry
from shuqiao.control.catalogue.vocabulary import vocabulary
from shuqiao.control.onesource.availability import Availability, availability
from shuqiao.control.onesource.models import MAX_TITLE_CHARS, CheckedField, FormCheck
from shuqiao.control.onesource.uploads import MAX_FIELDS, Labels
from shuqiao.control.organisations.numbers import next_number
from shuqiao.control.regulations.current import regulation
from shuqiao.control.texts import Text
from shuqiao.rules.entry_faults import plain_fault
from shuqiao.rules.form_fields import FieldVerdict
from shuqiao.rules.ids import check_no

CHECK = Text("检查表单", "Check a form")
AUDIENCES = {
    "public": Text("群众和企业（办事表单）", "People and businesses (a form of a service)"),
    "licence": Text(
        "群众和企业（电子证照的办理、更新）", "People and businesses (issuing or renewing an e-licence)"
    ),
    "internal": Text("本部门或其他部门（报表、内部采集）", "Departments (a report, internal collecting)"),
}
# Forms that ask people and bodies outside. Source: guangzhou-2016 art. 49(1), 49(3).
OUTSIDE = frozenset({"public", "licence"})
# What needn't be asked: it can be had by sharing, or the department has it itself.
NOT_TO_ASK = (FieldVerdict.AVAILABLE, FieldVerdict.OWN)


@dataclass(frozen=True)
class FormInput:
    """A form to check: its name, whom it asks, the 项 it is about (or empty), and the names of its fields."""

    title: str
    audience: str
    branch: str
    labels: Labels


@transaction.atomic
def check_form(viewer: Viewer, given: FormInput) -> str:
    """Look every field of a form up, keep the result, and return the number of the check."""
    require(viewer, Capability.CATALOGUE_SEARCH, CHECK)
    _refuse_faulty(given)
    found = availability(viewer, given.labels.names, given.branch)
    counts = Counter(one.verdict for one in found)
    rules, now = regulation(), clock.now()
    year = clock.legal_day(now).year
    number = check_no(year, next_number("F", year))
    article = rules.cite_matter("no_repeat")
    entry_id = append_entry(
        "form_checked",
        actor=f"account:{viewer.username}",
        at=now,
        outcome="checked",
        department=viewer.department.code,
        case_no=number,
        facts={
            "regulation": rules.id,
            "articles": [article],
            "audience": given.audience,
            "origin": given.labels.origin,
            "fields": len(found),
            "counts": dict(counts),
        },
    )
    check = FormCheck.objects.create(
        number=number,
        department_id=viewer.department.code,
        title=given.title.strip(),
        audience=given.audience,
        branch=given.branch,
        origin=given.labels.origin,
        fields=len(found),
        available=sum(counts[verdict] for verdict in NOT_TO_ASK),
        regulation=rules.id,
        article=article,
        account_id=viewer.account_id,
        checked_at=now,
        entry_id=entry_id,
    )
    _keep_fields(check, found)
    return number


def _keep_fields(check: FormCheck, found: Sequence[Availability]) -> None:
    fields = (
        CheckedField(
            check_of=check,
            position=position,
            label=one.label,
            verdict=one.verdict,
            found=[asdict(option) for option in one.options],
        )
        for position, one in enumerate(found, 1)
    )
    CheckedField.objects.bulk_create(fields, batch_size=500)


def _refuse_faulty(given: FormInput) -> None:
    faults = []
    unplain = plain_fault("title", given.title.strip(), MAX_TITLE_CHARS)
    if unplain:
        faults.append(Fault("title", unplain.code, Text(unplain.zh, unplain.en)))
    if not given.title.strip():
        faults.append(Fault("title", "field_required", Text("填写表单名称", "Give the form a name")))
    if given.audience not in AUDIENCES:
        words = Text("选择由谁填写", "Choose who fills it in")
        faults.append(Fault("audience", "kind_unknown", words))
    if given.branch and given.branch not in vocabulary().subjects:
        faults.append(Fault("branch", "kind_unknown", Text("没有这个分类", "No such class")))
    if not 0 < len(given.labels.names) <= MAX_FIELDS:
        words = Text(f"1 至 {MAX_FIELDS} 个字段", f"1 to {MAX_FIELDS} fields")
        faults.append(Fault("text", "field_required", words))
    if faults:
        raise FormRefused(tuple(faults))
