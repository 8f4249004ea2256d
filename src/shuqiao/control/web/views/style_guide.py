"""Every component of the pages on one page, with invented content; a new page uses only these."""

from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from shuqiao.control import clock
from shuqiao.control.accounts.access import Viewer
from shuqiao.control.compiling.chain import ChainStep, chain_of, main_path
from shuqiao.control.compiling.wording import pieces
from shuqiao.control.regulations.current import regulation
from shuqiao.control.regulations.queries import ArticleText, Clock, cited_text, clock_of, due
from shuqiao.control.requests.queries import Step
from shuqiao.control.texts import Text
from shuqiao.control.web.shell import show, signed_in


@dataclass(frozen=True)
class Swatch:
    """A colour of the palette by its class, which is also the end of its token's name."""

    name: str
    label: Text


NEUTRAL = (
    Swatch("bg", Text("页面底", "Page")),
    Swatch("surface", Text("面", "Surface")),
    Swatch("sunken", Text("凹面", "Sunken")),
    Swatch("line", Text("线", "Line")),
    Swatch("control", Text("控件线", "Control")),
    Swatch("ink", Text("正文", "Text")),
    Swatch("ink-2", Text("次要", "Second")),
    Swatch("ink-3", Text("说明", "Notes")),
)
MEANING = (
    Swatch("brand", Text("品牌", "Brand")),
    Swatch("button", Text("按钮", "Button")),
    Swatch("ok", Text("完成", "Done")),
    Swatch("warn", Text("临期", "Soon")),
    Swatch("bad", Text("逾期、错误", "Late, wrong")),
    Swatch("share", Text("共享", "Shared")),
)
CHART = (
    Swatch("c1", Text("1 蓝", "1 blue")),
    Swatch("c2", Text("2 橙", "2 orange")),
    Swatch("c3", Text("3 青", "3 green")),
    Swatch("c4", Text("4 砖", "4 brick")),
    Swatch("c5", Text("5 紫", "5 violet")),
    Swatch("c6", Text("6 墨", "6 ink")),
    Swatch("ctx", Text("背景", "Context")),
)


@require_safe
@signed_in
def style_guide(request: HttpRequest, viewer: Viewer) -> HttpResponse:
    """Show the components in every state, with clocks that run today."""
    clocks = _clocks()
    article = cited_text(regulation().citations["first_request"])
    context = {
        "swatches": (
            (Text("底与字", "Page and text"), NEUTRAL),
            (Text("语义", "Meaning"), MEANING),
            (Text("图表", "Charts"), CHART),
        ),
        "clocks": clocks,
        "soon": clocks[1],
        "article": article,
        "levels": range(5),
        "spaces": (4, 8, 12, 16, 24, 32, 48),
        "steps": _steps(clocks[1], article),
        "chain": _chain(),
        "difference": pieces(
            str(Text("字符型，长度 30", "characters, length 30")),
            str(Text("字符型，长度 40", "characters, length 40")),
        ),
        "wizard": (
            Text("选信息", "Items"),
            Text("写依据", "Duty"),
            Text("定方式", "Mode"),
            Text("核对提交", "Check"),
        ),
        "choices": (("verify", Text("核验", "Verify")), ("query", Text("查询", "Query"))),
        "faults": {
            "duty": Text(
                "请写明依据。没有依据的申请不能提交。", "Name the duty; without one it cannot be submitted."
            ),
            "until": Text("止期须晚于起期。", "The last day must be after the first."),
        },
        "months": (("6月", 13), ("7月", 9), ("8月", 10), ("9月", 12), ("10月", 8), ("11月", 7)),
    }
    return show(request, viewer, "pages/style_guide.html", context)


def _chain() -> tuple[ChainStep, ...]:
    """Show the way of an entry under the regulation in force, its first step taken."""
    rules = regulation()
    taken = main_path(rules.procedure("entry"))[0].to_state
    return chain_of(rules, taken, [])


def _clocks() -> tuple[Clock, ...]:
    """Show a reply term in each of its states."""
    today = clock.today()
    rules = regulation()
    fresh = _begun(today, 3)
    over = clock_of(due("reply", today - timedelta(days=20), rules))
    met = due("reply", today - timedelta(days=20), rules)
    done = clock_of(met, done_on=today - timedelta(days=14))
    waiting = replace(fresh, state="wait", provisional=True)
    return fresh, _with_left(2), _with_left(0), over, done, waiting


def _begun(today: date, days: int) -> Clock:
    return clock_of(due("reply", today - timedelta(days=days), regulation()))


def _with_left(left: int) -> Clock:
    """Find the start day whose reply term has so many working days left today."""
    today = clock.today()
    found = _begun(today, 0)
    for days in range(40):
        found = _begun(today, days)
        if found.days_left <= left:
            return found
    return found


def _steps(running: Clock, article: ArticleText) -> tuple[Step, ...]:
    """Show one step of each status of the timeline."""
    submitted = datetime.combine(running.starts_on, datetime.min.time(), clock.LEGAL_ZONE)

    def step(key: str, label: Text, status: str, detail: Text | None) -> Step:
        return Step(key, label, status, detail, None, "", None, None, None, None)

    first = step(
        "submitted", Text("提交申请", "Submitted"), "done", Text("逐项写明信息名称与依据", "Item by item")
    )
    return (
        replace(first, at=submitted),
        replace(
            step("reply", Text("答复", "Answer"), "current", None),
            due_on=running.due_on,
            clock=running,
            article=article,
            start_rule=Text(
                "起算：提交次日。条文未定，此为平台设定。", "From the day after; a setting of the platform."
            ),
        ),
        step(
            "provide",
            Text("提供", "Provision"),
            "ahead",
            Text("同意后 5 个工作日", "5 working days after consent"),
        ),
        step(
            "negotiation",
            Text("供需协商", "Negotiation"),
            "dispute",
            Text("主管部门组织", "By the competent department"),
        ),
    )
