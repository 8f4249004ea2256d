"""What the result card of a verification says: pure, from the answer or the refusal alone."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from shuqiao.control.grants.queries import GrantItem, VerificationPage
from shuqiao.control.grants.verification import CallRefused, Verification
from shuqiao.control.regulations.queries import ArticleRef, matter_ref
from shuqiao.control.texts import Text
from shuqiao.rules.errors import BY_CODE

_RULE_IN_WORDS = re.compile(r"（依据：[^）]*）$| \(Rule: [^)]*\)$")
# A call that failed for the moment may be sent again as it is.
_PASSING = frozenset(
    {"overloaded", "unavailable", "request_timeout", "signature_stale", "signature_replayed"}
)
_OF_A_VALUE = frozenset({"identifier_invalid", "claim_invalid"})
_WAYS = {
    "name": Text("按全半角、空格与间隔号规整后比对", "Compared after evening out widths, spaces and dots"),
    "citizen_id": Text("18 位逐位比对", "All 18 characters compared"),
    "credit_code": Text("18 位逐位比对", "All 18 characters compared"),
}
_CHECKED = frozenset({"citizen_id", "credit_code"})


@dataclass(frozen=True)
class Asked:
    """What was asked: items in the order of the form, and nothing of their values."""

    items: tuple[GrantItem, ...]
    together: bool
    subject: str
    case: str


@dataclass(frozen=True)
class Row:
    """One line of the answer: an item, or all of them where the grant answers together."""

    name: str
    way: Text | None
    matched: bool


@dataclass(frozen=True)
class Refused:
    """Why there is no answer, under which rule, and whether asking again can help."""

    code: str
    words: str
    rule: ArticleRef | None
    passing: bool


@dataclass(frozen=True)
class Result:
    """What the result card shows: an answer, or why there is none."""

    asked: Asked
    status: int
    entry: str | None
    rows: tuple[Row, ...] = ()
    answer: Verification | None = None
    refusal: Refused | None = None

    @property
    def matched(self) -> bool:
        """Whether everything agrees."""
        return bool(self.rows) and all(row.matched for row in self.rows)

    @property
    def found(self) -> bool:
        """Whether the answer itself tells that there is a record: something agrees with it.

        Only then is the record's code shown. An unknown number gets another random code on every call, so
        two calls would tell that nobody is there.
        """
        return any(row.matched for row in self.rows)

    @property
    def checked(self) -> frozenset[str]:
        """Fields whose check digit the plane has found right: it answers no others."""
        if self.answer is None:
            return frozenset()
        return frozenset(item.field for item in self.asked.items if item.kind in _CHECKED)


def answered(answer: Verification, asked: Asked) -> Result:
    """Show an answer; somebody who is not there is 不一致 like a wrong value, in the same form."""
    if isinstance(answer.result, bool):
        names = [item.name for item in asked.items]
        words = Text("、".join(name.zh for name in names), ", ".join(name.en for name in names))
        only = Text("合并答复，不说明是哪一项", "Answered together; which item is not said")
        rows: tuple[Row, ...] = (Row(str(words), only, answer.result),)
    else:
        said = answer.result
        rows = tuple(
            Row(str(item.name), _WAYS.get(item.kind), said.get(item.field) is True) for item in asked.items
        )
    return Result(asked, 200, answer.entry, rows, answer=answer)


def refused(error: CallRefused, asked: Asked) -> Result:
    """Show a refusal in its own words, the rule apart so that it can be opened."""
    words, rule = str(error.message), _rule(error.code)
    if rule is not None:
        words = _RULE_IN_WORDS.sub("", words)
    shown = Refused(error.code, words, rule, error.code in _PASSING)
    return Result(asked, error.status, error.entry, refusal=shown)


def _rule(code: str) -> ArticleRef | None:
    known = BY_CODE.get(code)
    if known is None or not known.matter:
        return None
    found = matter_ref(known.matter)
    return found if found.article else None


def faults_in(result: Result, page: VerificationPage) -> Mapping[str, Text]:
    """Put a refusal of one value at its field: the refusal names the item in Chinese in either language."""
    refusal = result.refusal
    if refusal is None or refusal.code not in _OF_A_VALUE:
        return {}
    fields = [("subject", page.subject), *((item.field, item) for item in result.asked.items)]
    return {
        name: Text(refusal.words, refusal.words)
        for name, item in fields
        if f"“{item.name.zh}”" in refusal.words or f'"{item.name.zh}"' in refusal.words
    }


def missing(page: VerificationPage, values: Mapping[str, str]) -> dict[str, Text]:
    """Name what must be filled in before anything is asked.

    On the pages every call says for which case it is, also where a grant would do without.
    Source: our choice, the person who asks is at a counter and always has a case.
    """
    faults = {}
    if not values["subject"]:
        faults["subject"] = Text(f"请填写{page.subject.name.zh}。", f"Enter {page.subject.name.en}.")
    if page.grant.match == "all":
        together = Text("本授权合并答复，每项都要填。", "This grant answers all together: fill in each.")
        faults |= {claim.field: together for claim in page.claims if not values[claim.field]}
    elif not any(values[claim.field] for claim in page.claims):
        first = page.claims[0]
        faults[first.field] = Text("请至少填写一项要核对的内容。", "Enter at least one thing to compare.")
    if not values["case"]:
        faults["case"] = Text("请填写办件编号，说明为何而查。", "Enter the case number: why it is asked.")
    return faults


def mask(number: str) -> str:
    """Show a number by its ends only, and a short one not at all."""
    if len(number) <= 5:
        return "*" * len(number)
    return f"{number[:3]}{'*' * (len(number) - 5)}{number[-2:]}"
