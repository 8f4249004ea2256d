"""Rules of screening as the office keeps them, and the rows that nodes hold by them.

The office sets the rules, each version by a named person with a reason; loader and nodes follow them. What a
node holds is known here by the pseudonym of its key only: its department decides at the node itself.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

import msgspec
from django.db import connection, transaction

from shuqiao.control import clock
from shuqiao.control.accounts.access import Fault, FormRefused, NotFound, Viewer
from shuqiao.control.accounts.capabilities import Capability
from shuqiao.control.accounts.models import Account
from shuqiao.control.accounts.notices import notify
from shuqiao.control.catalogue.models import Resource
from shuqiao.control.exchange.access import may_admit, scope_of
from shuqiao.control.exchange.readings import read_nodes
from shuqiao.control.regulations.current import regulation
from shuqiao.control.regulations.queries import ArticleRef, article_ref
from shuqiao.control.texts import Text
from shuqiao.rules.regulation import SETTING
from shuqiao.rules.screening import Action, Rule, Rules, faults_of
from shuqiao.wire.screening import shipped_rules

MAX_REASON_CHARS = 200
_SHOWN = 20
_VERSIONS = """
SELECT version, rules::text, set_by, set_at, reason FROM exchange.screening ORDER BY version DESC LIMIT %s
"""
ACTIONS: Mapping[str, Text] = {
    "hold": Text("扣留该行，其余照常", "Hold the row, the others go"),
    "stop": Text("扣留并停止该表", "Hold the row and stop the table"),
    "off": Text("停用", "Not used"),
}
KINDS: Mapping[str, Text] = {
    "mark": Text("字样", "Words"),
    "citizen_id": Text("公民身份号码（校验位）", "Citizen ID number, by its check digit"),
    "bank_card": Text("银行卡号（校验位）", "Bank card number, by its check digit"),
    "phone": Text("手机号码", "Mobile phone number"),
}
_FAULTS: Mapping[str, Text] = {
    "pattern_short": Text("每个字样至少含两个连续的字", "A pattern needs two letters in a row"),
    "pattern_unreadable": Text(
        "字样不超过 40 字；[ ] 内列出可选字符，# 代表一串数字，其后不能再是数字",
        "40 characters at most; [ ] lists, # is digits, and no digit stands behind it",
    ),
    "patterns_missing": Text("请填写字样", "Write at least one pattern"),
    "patterns_needless": Text("此类规则不用字样", "A rule of this kind takes no patterns"),
    "prefix_wrong": Text("请填写卡号开头的数字", "Write the digits that cards begin with"),
    "place_unknown": Text(
        "请填写信息项、资源标识，或“资源/信息项”", "Name an item, a resource or resource/item"
    ),
    "too_many": Text("太多了", "Too many"),
    "words_missing": Text("请填写名称，不超过 100 字", "Name it, in 100 characters at most"),
}
_FIELDS = {"words": "zh", "places": "besides"}


@dataclass(frozen=True)
class RuleInput:
    """What the form says of one rule; texts as they were written, one pattern or place a line."""

    key: str
    action: str
    patterns: str
    only: str
    besides: str
    reason: str
    after: int
    zh: str = ""
    en: str = ""


@dataclass(frozen=True)
class RuleRow:
    """A rule in force, in words."""

    rule: Rule
    words: Text
    kind: Text
    action: Text

    @property
    def patterns(self) -> str:
        """As the form has them."""
        return "\n".join(self.rule.patterns)

    @property
    def only(self) -> str:
        """As the form has them."""
        return "\n".join(self.rule.only)

    @property
    def besides(self) -> str:
        """As the form has them."""
        return "\n".join(self.rule.besides)


@dataclass(frozen=True)
class VersionRow:
    """A version of the rules: who set it, when and why."""

    version: int
    name: str
    set_at: datetime
    reason: str


@dataclass(frozen=True)
class ScreeningPage:
    """The rules in force and the versions before."""

    version: int
    rows: tuple[RuleRow, ...]
    versions: tuple[VersionRow, ...]
    may_set: bool
    article: ArticleRef

    @property
    def actions(self) -> tuple[tuple[str, Text], ...]:
        """What a rule may do."""
        return tuple(ACTIONS.items())


@dataclass(frozen=True)
class HeldHere:
    """A row that a node holds: the pseudonym of its key, items and rules in words, and since when."""

    mark: str
    found: tuple[tuple[Text, Text], ...]
    since: datetime
    stops: bool


def rules_in_force() -> Rules:
    """Return the rules that loader and nodes work by."""
    found = _versions(1)
    return found[0][0] if found else shipped_rules()


def screening_page(viewer: Viewer) -> ScreeningPage:
    """Return the rules; raises `NotFound` for who has nothing to do with the exchange."""
    scope_of(viewer)
    versions = _versions(_SHOWN)
    rules = versions[0][0] if versions else shipped_rules()
    names = dict(
        Account.objects.filter(username__in={row[1].name for row in versions}).values_list(
            "username", "display_name"
        )
    )
    return ScreeningPage(
        version=rules.version,
        rows=tuple(
            RuleRow(rule, Text(rule.zh, rule.en), KINDS[rule.kind], ACTIONS[rule.action])
            for rule in rules.rules
        ),
        versions=tuple(replace(row, name=names.get(row.name, row.name)) for _, row in versions),
        may_set=may_admit(viewer),
        article=_article(),
    )


def _article() -> ArticleRef:
    rules = regulation()
    return article_ref(rules.citations.get("state_secrets", SETTING), rules.id)


def _versions(most: int) -> list[tuple[Rules, VersionRow]]:
    with connection.cursor() as cursor:
        cursor.execute(_VERSIONS, [most])
        return [
            (msgspec.json.decode(text, type=Rules), VersionRow(version, by, at, reason))
            for version, text, by, at, reason in cursor.fetchall()
        ]


@transaction.atomic
def set_rule(viewer: Viewer, given: RuleInput) -> int:
    """Put a changed or new rule into force with all others; returns the version.

    Raises `NotFound` for who may not, `FormRefused` with every fault.
    """
    if not may_admit(viewer):
        raise NotFound
    rules = rules_in_force()
    rule = _rule_of(given, rules)
    others = rules.rules
    changed = tuple(rule if one.key == rule.key else one for one in others)
    if rule.key not in {one.key for one in others}:
        changed = (*others, rule)
    faults = [
        Fault(_FIELDS.get(one.field, one.field), one.code, _FAULTS.get(one.code, Text(one.code, one.code)))
        for one in faults_of(changed)
    ]
    reason = " ".join(given.reason.split())
    if not 0 < len(reason) <= MAX_REASON_CHARS or not reason.isprintable():
        words = Text(
            f"请填写理由，不超过 {MAX_REASON_CHARS} 字", f"Say why, {MAX_REASON_CHARS} characters at most"
        )
        faults.append(Fault("reason", "reason_required", words))
    if faults:
        raise FormRefused(tuple({one.field: one for one in faults}.values()))
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT exchange.set_screening(%s, %s::jsonb, %s, %s, %s)",
            [given.after, msgspec.json.encode(changed).decode(), viewer.username, reason, clock.now()],
        )
        version = cursor.fetchone()[0]
    if version is None:
        words = Text("规则已由他人更改，请核对后再提交", "Somebody else changed the rules: look again")
        raise FormRefused((Fault("reason", "rules_changed", words),))
    return int(version)


def _rule_of(given: RuleInput, rules: Rules) -> Rule:
    """Return the rule as the form has it; a new one looks for words."""
    lines = {
        name: tuple(dict.fromkeys(line.strip() for line in text.splitlines() if line.strip()))
        for name, text in (("patterns", given.patterns), ("only", given.only), ("besides", given.besides))
    }
    action: Action = next((one for one in ("hold", "stop", "off") if one == given.action), "hold")
    found = next((one for one in rules.rules if one.key == given.key), None)
    if found is None:
        if given.key:
            raise NotFound
        taken = {one.key for one in rules.rules}
        key = next(name for n in range(1, 1000) if (name := f"words_{n}") not in taken)
        zh = " ".join(given.zh.split())
        found = Rule(key, zh, " ".join(given.en.split()) or zh, "mark")
    patterns = lines["patterns"] if found.kind in ("mark", "bank_card") else ()
    return replace(found, action=action, patterns=patterns, only=lines["only"], besides=lines["besides"])


def held_of(department: str, resource: str, names: Mapping[str, Text]) -> tuple[int, tuple[HeldHere, ...]]:
    """Return how many rows of a table its node holds, and the oldest of them."""
    words = {rule.key: Text(rule.zh, rule.en) for rule in rules_in_force().rules}
    for node in read_nodes(department):
        for line in node.state.lines if node.state else ():
            if line.resource == resource:
                return line.screened, tuple(
                    HeldHere(
                        one.mark,
                        tuple(
                            (names.get(item, Text(item, item)), words.get(rule, Text(rule, rule)))
                            for item, rule in one.items.items()
                        ),
                        one.since,
                        one.stops,
                    )
                    for one in line.screened_rows
                )
    return 0, ()


@transaction.atomic
def watch_screened() -> int:
    """Tell those who sign for a department's data that rows are held at its node; each row is told once."""
    told = 0
    for node in read_nodes(None):
        for line in node.state.lines if node.state and node.is_active else ():
            entry = Resource.objects.filter(pk=line.resource).first() if line.screened else None
            if entry is None or not line.screened_rows:
                continue
            told += notify(
                node.department,
                "rows_held",
                entry.id,
                capability=Capability.DATA_CLEAR,
                occasion=max(one.since for one in line.screened_rows).isoformat(),
                params={
                    "name_zh": entry.name_zh,
                    "name_en": entry.name_en or entry.name_zh,
                    "rows": str(line.screened),
                },
            )
    return told
