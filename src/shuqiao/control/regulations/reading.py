"""A regulation as rows to read: what it says, where, and whether a fallback says it in its place."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from shuqiao.control.regulations.queries import ArticleRef, article_ref
from shuqiao.control.regulations.words import CAPABILITIES, CASES, MATTERS, OPENNESS, SIDES, SYSTEM_KINDS
from shuqiao.control.texts import Text
from shuqiao.rules.regulation import (
    PROPOSED,
    Deadline,
    Field,
    OpenCases,
    Procedure,
    Regulation,
    Step,
    Transition,
)
from shuqiao.rules.share_types import ShareType
from shuqiao.rules.sharing import RANKS


@dataclass(frozen=True)
class Row:
    """One thing a regulation says. `key` names it across regulations; `taken_from` is a fallback's id."""

    key: str
    label: Text
    value: Text
    ref: ArticleRef
    taken_from: str = ""


@dataclass(frozen=True)
class Section:
    """A part of a regulation; `taken_from` is set where the whole of it comes from a fallback."""

    key: str
    title: Text
    rows: tuple[Row, ...]

    @property
    def taken_from(self) -> str:
        """The fallback that all rows come from, or nothing."""
        sources = {row.taken_from for row in self.rows}
        return next(iter(sources)) if len(sources) == 1 else ""


_DASH = Text("—", "—")


def sections(rules: Regulation) -> tuple[Section, ...]:
    """Everything a regulation says, in the order of a reader's questions; empty parts are left out."""
    made = [Section(key, title, tuple(rows(rules))) for key, title, rows in _PARTS]
    made += [_procedure_section(rules, one) for one in rules.procedures.values()]
    return tuple(section for section in made if section.rows)


def _row(rules: Regulation, key: str, label: Text, value: Text, article: str) -> Row:
    source, _, _ = article.rpartition(" ")
    return Row(key, label, value, article_ref(article, rules.id), source.removesuffix(" art."))


def _body(rules: Regulation, key: str) -> Text:
    known = next((body for body in rules.body_roles if body.key == key), None)
    return Text(known.zh, known.en) if known else SIDES.get(key, Text(key, key))


def _named(rules: Regulation, rows: Iterable[Field], value: Text = _DASH) -> Iterator[Row]:
    return (_row(rules, one.key, Text(one.zh, one.en), value, one.article) for one in rows)


def _bodies(rules: Regulation) -> Iterator[Row]:
    for body in rules.body_roles:
        label = SIDES.get(body.key, Text(body.key.replace("_", " "), body.key.replace("_", " ")))
        yield _row(rules, body.key, label, Text(body.zh, body.en), body.article)


def _roles(rules: Regulation) -> Iterator[Row]:
    for role in rules.roles:
        may = [words for key, words in CAPABILITIES.items() if key in role.capabilities]
        value = Text("、".join(one.zh for one in may), ", ".join(one.en for one in may))
        yield _row(rules, role.key, Text(role.zh, role.en), value, role.article)


def _share_types(rules: Regulation) -> Iterator[Row]:
    types = rules.share_types
    for one in types.types:
        yield _row(rules, f"openness_{one.openness}", OPENNESS[one.openness], _type_words(one), one.article)
    default = types.named(types.default)
    if default is not None:
        words = Text(default.zh, default.en)
        yield _row(rules, "default", Text("默认类型", "Default"), words, types.default_article)
    base = types.base_items
    if base is not None:
        count = sum(len(fields) for fields in base.lists.values())
        words = Text(f"{len(base.lists)} 张表 {count} 项", f"{count} items of {len(base.lists)} lists")
        yield _row(rules, "base_items", Text("基础信息项", "Base items"), words, base.article)
    for relation in types.relations:
        least = OPENNESS[relation.least_openness]
        words = Text(f"至少{least.zh}共享", f"shared at least {least.en}")
        yield _row(rules, relation.key, Text(relation.zh, relation.en), words, relation.article)
    if types.ruled_by is not None:
        label = Text("可核定为无条件", "May rule it open to all")
        yield _row(rules, "ruled_by", label, _body(rules, types.ruled_by), types.ruled_by_article)


def _type_words(one: ShareType) -> Text:
    needs = {"ground": Text("依据", "ground"), "conditions": Text("共享条件", "conditions")}
    words = [needs[word] for word in one.requires]
    if not words:
        return Text(one.zh, one.en)
    zh, en = "、".join(w.zh for w in words), ", ".join(w.en for w in words)
    return Text(f"{one.zh}（须写明{zh}）", f"{one.en} (states {en})")


def _chain(rules: Regulation, steps: Iterable[Step]) -> Iterator[Row]:
    return (_row(rules, one.key, Text(one.zh, one.en), _body(rules, one.by), one.article) for one in steps)


def _deadlines(rules: Regulation) -> Iterator[Row]:
    return (
        _row(rules, one.key, Text(one.zh, one.en), deadline_words(one, rules), one.article)
        for one in rules.deadlines
    )


def deadline_words(one: Deadline, rules: Regulation) -> Text:
    """A term in words: how long, from which step."""
    step = starting_step(one, rules)
    count = one.working_days
    if step is None:
        return Text(f"{count} 个工作日", f"{count} working days")
    return Text(f"{count} 个工作日，自“{step.zh}”起", f'{count} working days from "{step.en}"')


def starting_step(one: Deadline, rules: Regulation) -> Transition | None:
    """The step of a procedure that starts a term, where one does."""
    steps = (step for procedure in rules.procedures.values() for step in procedure.transitions)
    return next((step for step in steps if step.event == one.starts_on), None)


def _settings(rules: Regulation) -> Iterator[Row]:
    kept = rules.open_cases is OpenCases.KEEP
    words = (
        Text("继续适用旧规则", "keep the old rules") if kept else Text("转用新规则", "pass to the new rules")
    )
    yield _row(
        rules,
        "open_cases",
        Text("换版时未结事项", "Open cases at a new version"),
        words,
        rules.open_cases_article,
    )
    words = Text("计入", "counts") if rules.start_day_counts else Text("不计入", "does not count")
    yield _row(rules, "start_day", Text("起算当日", "The start day"), words, rules.start_day_article)
    least = rules.immediate.openness
    words = Text("否", "never") if least is None else Text(f"{OPENNESS[least].zh}共享的", OPENNESS[least].en)
    yield _row(rules, "immediate", Text("即时开通", "Granted at once"), words, rules.immediate.article)
    months = rules.period.maximum_months
    words = Text(f"最长 {months} 个月", f"at most {months} months")
    entry = Text(f"最长 {rules.entry_months} 个月", f"at most {rules.entry_months} months")
    label = Text("目录条目的共享期限", "Sharing period of an entry")
    yield _row(rules, "entry_period", label, entry, rules.entry_months_article)
    yield from _maintenance(rules)
    yield _row(rules, "period", Text("授权期限", "Period of a grant"), words, rules.period.article)
    days = rules.recall.working_days
    words = Text(f"{days} 个工作日内删除并回执", f"deleted and signed for within {days} working days")
    label = Text("授权结束后的副本", "Copies once their grant has ended")
    yield _row(rules, "recall", label, words, rules.recall.article)
    body = Text(f"{rules.body_months} 个月，摘要长期保留", f"{rules.body_months} months; digests for ever")
    label = Text("审计条目内容保存", "What audit entries say is kept")
    yield _row(rules, "records", label, body, rules.body_article)


def _maintenance(rules: Regulation) -> Iterator[Row]:
    """Nothing where the text knows no regular maintenance."""
    months = rules.maintenance_months
    if months is not None:
        words = Text(f"每 {months} 个月至少一次", f"at least once in {months} months")
        label = Text("目录全面维护", "Full maintenance of the catalogue")
        yield _row(rules, "maintenance", label, words, rules.maintenance_article)


def _collection(rules: Regulation) -> Iterator[Row]:
    at = rules.collection
    no = Text("不再重复采集", "is not collected again")
    yield _row(rules, "repeat", Text("可共享取得的信息", "What can be had by sharing"), no, at.repeat_article)
    ranks = [RANKS[rank] for rank in at.again_ranks]
    words = Text("、".join(one.zh for one in ranks), ", ".join(one.en for one in ranks))
    yield _row(rules, "again", Text("另有规定的层级", "Norms that go before"), words, at.again_article)
    words = Text("逐项对应职责", "rests on a duty")
    yield _row(rules, "within_duty", Text("采集的信息项", "Every item collected"), words, at.duty_article)
    fixed = (
        Text("原文已定", "named by the text") if at.named_by_text else Text("协调确定", "by co-ordination")
    )
    yield _row(
        rules, "source", Text("基础信息的来源", "Sources of base information"), fixed, at.source_article
    )
    having = Text(at.settled_with.zh, at.settled_with.en) if at.settled_with else _DASH
    yield _row(rules, "settled", Text("会同确定来源", "Settled together with"), having, at.settled_article)


def _reviews(rules: Regulation) -> Iterator[Row]:
    for one in rules.reviews:
        words = Text(f"每 {one.months} 个月签署一次", f"signed for {one.months} months at most")
        yield _row(rules, one.key, Text(one.zh, one.en), words, one.article)


def _exchange(rules: Regulation) -> Iterator[Row]:
    at = rules.exchange
    words = Text("通过本平台进行", "goes through this platform")
    yield _row(rules, "only_channel", Text("部门间信息共享", "Sharing"), words, at.only_channel_article)
    kinds = [words for key, words in SYSTEM_KINDS.items() if key in at.forbidden]
    zh, en = "、".join(one.zh for one in kinds), ", ".join(one.en for one in kinds)
    words = Text(f"不得新建：{zh}", f"none may be built: {en}") if kinds else Text("登记", "are registered")
    yield _row(
        rules, "new_systems", Text("新的交换系统", "New exchange systems"), words, at.forbidden_article
    )
    words = Text("登记并迁移", "are registered and moved")
    label = Text("原有交换系统", "Exchange systems that exist")
    yield _row(rules, "existing_systems", label, words, at.existing_article)
    yield from _interconnection(rules)
    if at.interface_only is not None:
        relations = [one for one in rules.share_types.relations if one.key in at.interface_only.relations]
        zh = "、".join(one.zh for one in relations)
        words = Text(
            f"只用接口交换：更新快的，{zh}",
            "by interface only: what changes fast; " + ", ".join(one.en for one in relations),
        )
        label = Text("提供途径", "Channel")
        yield _row(rules, "interface_only", label, words, at.interface_only.article)


def _interconnection(rules: Regulation) -> Iterator[Row]:
    at = rules.exchange.interconnection
    label = Text("业务系统接入", "Business systems")
    words = Text("接入本级平台", "are connected with the platform of their level")
    yield _row(rules, "business_systems", label, words, at.connect_article)
    bodies = {one.key: Text(one.zh, one.en) for one in rules.body_roles}
    by = bodies.get(at.certificate_by, Text(at.certificate_by, at.certificate_by))
    label = Text("互联共享测试证明", "Certificate of interconnection")
    words = Text(f"由{by.zh}出具", f"issued by: {by.en}")
    yield _row(rules, "certificate", label, words, at.certificate_article)
    words = Text("不能互联共享的不通过", "none that can't share passes")
    if at.rectifies:
        words = Text(f"{words.zh}，限期整改", f"{words.en}; it is put right by a day")
    yield _row(
        rules, "acceptance", Text("业务系统验收", "Acceptance of systems"), words, at.acceptance_article
    )


def _platforms(rules: Regulation) -> Iterator[Row]:
    if rules.platforms is None:
        return
    at = rules.platforms
    words = Text(
        "按采集机关的职权提供给本级平台", "are provided to the platform of the level that collects them"
    )
    yield _row(rules, "base_lists", Text("基础信息", "Base information"), words, at.base_article)
    for key, one in (("city", at.city), ("district", at.district)):
        words = Text("本级机关优先使用", "is used first by the bodies of its level")
        yield _row(rules, key, Text(one.zh, one.en), words, one.article)


def _disputes(rules: Regulation) -> Iterator[Row]:
    return (
        _row(rules, one.key, Text(one.zh, one.en), _body(rules, one.decided_by), one.article)
        for one in rules.disputes.kinds
    )


def _updates(rules: Regulation) -> Iterator[Row]:
    return (_row(rules, one.key, Text(one.zh, one.en), _DASH, one.article) for one in rules.updates)


def _reports(rules: Regulation) -> Iterator[Row]:
    return (
        _row(rules, one.key, Text(one.zh, one.en), _body(rules, one.by), one.article) for one in rules.reports
    )


def _sanctions(rules: Regulation) -> Iterator[Row]:
    for one in rules.sanctions:
        years = Text(f"{one.years} 年", f"{one.years} years") if one.years else _DASH
        yield _row(rules, one.key, Text(one.zh, one.en), years, one.article)


def _citations(rules: Regulation) -> Iterator[Row]:
    for matter, words in MATTERS.items():
        yield _row(rules, matter, words, _DASH, rules.citations[matter])


_PARTS: tuple[tuple[str, Text, Callable[[Regulation], Iterator[Row]]], ...] = (
    ("deadlines", Text("期限", "Terms"), _deadlines),
    ("settings", Text("总则", "General"), _settings),
    ("collection", Text("采集", "Collecting"), _collection),
    ("reviews", Text("提供前的审查", "Reviews before data are provided"), _reviews),
    ("share_types", Text("共享类型", "Share types"), _share_types),
    ("request", Text("申请须写明", "What a request states"), lambda r: _named(r, r.request_fields)),
    ("conditions", Text("使用条件", "Conditions of use"), lambda r: _named(r, r.conditions)),
    ("catalogue_fields", Text("目录要素", "What an entry states"), lambda r: _named(r, r.catalogue_fields)),
    ("catalogue_chain", Text("目录程序", "How an entry is approved"), lambda r: _chain(r, r.catalogue_chain)),
    ("exchange", Text("共享途径与交换系统", "Channels and exchange systems"), _exchange),
    ("platforms", Text("市、区两级平台", "Platforms of city and district"), _platforms),
    ("disputes", Text("争议种类与处理方", "Disputes and who decides"), _disputes),
    ("updates", Text("更新", "Updating"), _updates),
    ("objections", Text("异议", "Objections"), lambda r: _chain(r, r.objections)),
    ("evaluation", Text("评估", "Evaluation"), lambda r: _named(r, r.evaluation)),
    ("reports", Text("报告", "Reports"), _reports),
    ("sanctions", Text("责任", "Sanctions"), _sanctions),
    ("bodies", Text("机构", "Bodies"), _bodies),
    ("roles", Text("人员角色", "Roles"), _roles),
    ("citations", Text("平台引用的条文", "What the platform cites"), _citations),
)


def _procedure_section(rules: Regulation, procedure: Procedure) -> Section:
    case = CASES.get(procedure.key, Text(procedure.key, procedure.key))
    title = Text(f"程序：{case.zh}", f"Procedure: {case.en}")
    rows = (
        _row(
            rules,
            f"{step.action}_{step.when}",
            Text(step.zh, step.en),
            _way(rules, procedure, step),
            step.article,
        )
        for step in procedure.transitions
    )
    return Section(f"procedure_{procedure.key}", title, tuple(rows))


def _way(rules: Regulation, procedure: Procedure, step: Transition) -> Text:
    """Who takes a step, and where it leads."""
    by = [_body(rules, side) for side in sorted(step.by)]
    led = step.proposes or step.to_state
    state = procedure.state(led)
    to = Text(state.zh, state.en) if state else Text("所拟结果", "what was proposed")
    if led == PROPOSED:
        to = Text("所拟结果", "what was proposed")
    zh, en = "、".join(one.zh for one in by), ", ".join(one.en for one in by)
    return Text(f"{zh} → {to.zh}", f"{en} → {to.en}")


@dataclass(frozen=True)
class Pair:
    """The same thing as two regulations say it; None where one of them says nothing of it."""

    label: Text
    left: Row | None
    right: Row | None

    @property
    def differs(self) -> bool:
        """Whether they say different things; where they say it may differ all the same."""
        if self.left is None or self.right is None:
            return True
        return (self.left.label, self.left.value) != (self.right.label, self.right.value)


@dataclass(frozen=True)
class Comparison:
    """One part of two regulations side by side."""

    key: str
    title: Text
    pairs: tuple[Pair, ...]

    @property
    def differences(self) -> int:
        """In how many things they differ."""
        return sum(pair.differs for pair in self.pairs)


def compare(left: Regulation, right: Regulation) -> tuple[Comparison, ...]:
    """Two regulations side by side, part by part."""
    lefts = {section.key: section for section in sections(left)}
    rights = {section.key: section for section in sections(right)}
    order = [*lefts, *(key for key in rights if key not in lefts)]
    return tuple(_compared(lefts.get(key), rights.get(key)) for key in order)


def _compared(left: Section | None, right: Section | None) -> Comparison:
    one = left or right
    if one is None:
        raise ValueError("a part of neither")
    lefts, rights = _by_key(left), _by_key(right)
    order = [*lefts, *(key for key in rights if key not in lefts)]
    pairs = [_pair(lefts.get(key), rights.get(key)) for key in order]
    return Comparison(one.key, one.title, tuple(pair for pair in pairs if pair is not None))


def _pair(left: Row | None, right: Row | None) -> Pair | None:
    one = left or right
    return Pair(one.label, left, right) if one is not None else None


def _by_key(section: Section | None) -> dict[tuple[str, int], Row]:
    """Rows by key; the second of one key stands beside the second of the other side."""
    rows: dict[tuple[str, int], Row] = {}
    for row in section.rows if section else ():
        place = sum(key == row.key for key, _ in rows)
        rows[(row.key, place)] = row
    return rows
