"""The components of the pages as template tags, and how dates, numbers and words are written."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from django import template
from django.forms.utils import flatatt
from django.utils.html import conditional_escape, format_html
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import get_language

from shuqiao.control import clock as time
from shuqiao.control.accounts.actors import ActorRef
from shuqiao.control.operations import labels
from shuqiao.control.regulations.current import calendar
from shuqiao.control.regulations.queries import ArticleRef, ArticleText, Clock
from shuqiao.control.regulations.wording import articles_by_code
from shuqiao.control.texts import Text

register = template.Library()

_WEEKDAYS = (
    Text("周一", "Mon"),
    Text("周二", "Tue"),
    Text("周三", "Wed"),
    Text("周四", "Thu"),
    Text("周五", "Fri"),
    Text("周六", "Sat"),
    Text("周日", "Sun"),
)
# The five grades of the data-centre security standard, art. 2, from unit information upwards.
_SENSITIVITY = (
    Text("单位信息", "Of bodies"),
    Text("个人信息", "Personal"),
    Text("个人敏感", "Sensitive"),
    Text("关键敏感", "Key sensitive"),
    Text("重要数据", "Important"),
)
_PHASE_CHIPS = {
    "draft": ("", "pencil"),
    "waiting": ("warn", "hourglass"),
    "granted": ("ok", "circle-check"),
    "refused": ("bad", "circle-x"),
    "disputed": ("bad", "scale"),
    "closed": ("", "archive"),
}
_NOTE_ICONS = {"": "info-circle", "ok": "circle-check", "warn": "alert-triangle", "bad": "alert-circle"}


def in_english() -> bool:
    """Whether the reader's language is English."""
    return (get_language() or "").startswith("en")


@register.simple_tag
def t(zh: str, en: str, **values: object) -> SafeString:
    """Write words of the page in the reader's language; both are always given, so none can be missing.

    Values are escaped and put in place of `{name}`.
    """
    words = en if in_english() else zh
    if not values:
        return mark_safe(words)  # noqa: S308 - the words stand in our own templates, not in data
    return format_html(words, **values)


@register.simple_tag
def text(zh: str, en: str, **values: object) -> str:
    """Give words as a plain value, for arguments of other tags."""
    return (en if in_english() else zh).format(**values)


@register.filter
def en(zh: str, english: str) -> str:
    """Give words in the reader's language as an argument of another tag: `"目录"|en:"Catalogue"`."""
    return english if in_english() else zh


@register.filter
def day(value: date | None) -> str:
    """Write a legal day: within this year without it, always with the weekday."""
    if value is None:
        return "—"
    week = str(_WEEKDAYS[value.weekday()])
    form = "%m-%d" if value.year == time.today().year else "%Y-%m-%d"
    return f"{value.strftime(form)} {week}"


@register.filter
def due(value: date | None) -> str:
    """Write a due day; in a year that is not announced it says that it is provisional."""
    if value is None or value.year in calendar().years:
        return day(value)
    return f"{day(value)}{Text('（暂定）', ' (provisional)')}"


@register.filter
def iso(value: date | None) -> str:
    """Write a day in full."""
    return value.isoformat() if value else ""


@register.filter
def moment(value: datetime | None) -> str:
    """Write a time in Asia/Shanghai to the minute, within this year without it."""
    if value is None:
        return "—"
    local = value.astimezone(time.LEGAL_ZONE)
    return local.strftime("%m-%d %H:%M" if local.year == time.today().year else "%Y-%m-%d %H:%M")


@register.filter
def second(value: datetime | None) -> str:
    """Write a time of day in Asia/Shanghai to the second."""
    return value.astimezone(time.LEGAL_ZONE).strftime("%H:%M:%S") if value else "—"


@register.filter
def full(value: datetime | None) -> str:
    """Write date and time in Asia/Shanghai to the second."""
    return value.astimezone(time.LEGAL_ZONE).strftime("%Y-%m-%d %H:%M:%S") if value else "—"


@register.filter
def hour(value: datetime | None) -> str:
    """Write an hour of the day in Asia/Shanghai."""
    return value.astimezone(time.LEGAL_ZONE).strftime("%H:00") if value else "—"


@register.filter
def legal_day(value: datetime | None) -> str:
    """Write the legal day of a time in full."""
    return time.legal_day(value).isoformat() if value else "—"


@register.filter
def elapsed(seconds: float | None) -> str:
    """Write a length of time in its two largest units; below ten seconds with a decimal."""
    if seconds is None:
        return "—"
    if seconds < 10:
        return str(Text(f"{seconds:.1f} 秒", f"{seconds:.1f} s"))
    whole = int(seconds)
    for size, zh, part, english, small in (
        (86_400, "天", (3_600, "小时"), "d", "h"),
        (3_600, "小时", (60, "分"), "h", "min"),
        (60, "分", (1, "秒"), "min", "s"),
    ):
        if whole >= size:
            first, rest = divmod(whole, size)
            second_ = rest // part[0]
            return str(Text(f"{first} {zh} {second_} {part[1]}", f"{first} {english} {second_} {small}"))
    return str(Text(f"{whole} 秒", f"{whole} s"))


@register.filter
def amount(value: float | None) -> str:
    """Write a number with thousands separated; nothing known is a dash."""
    if value is None:
        return "—"
    return f"{value:,}" if isinstance(value, int) else f"{value:,.1f}"


@register.filter
def short(value: str) -> str:
    """Write the beginning and end of an id or digest."""
    return f"{value[:4]}…{value[-4:]}" if len(value) > 12 else value


@register.filter
def get(mapping: Mapping[str, object] | None, key: str) -> object:
    """Look a key up; nothing there is nothing."""
    return mapping.get(key, "") if mapping else ""


@register.filter
def outcome(code: str) -> str:
    """Word the outcome of an audit entry."""
    return str(labels.outcome_label(code))


@register.filter
def articles(code: str) -> tuple[ArticleRef, ...]:
    """Name the articles that refusals of a code rest on."""
    return articles_by_code(code)


@register.filter
def sep(values: Sequence[object]) -> str:
    """Join with the middle dot."""
    return " · ".join(str(value) for value in values)


@register.filter
def listed(values: Sequence[object]) -> str:
    """Join as an enumeration of the language."""
    return (", " if in_english() else "、").join(str(value) for value in values)


@register.simple_tag
def icon(name: str) -> SafeString:
    """Draw an icon that readers of the screen skip: words stand beside it."""
    return format_html('<i class="ti ti-{}" aria-hidden="true"></i>', name)


@register.simple_tag
def chip(label: object, kind: str = "", icon_name: str = "") -> SafeString:
    """Write a state as a word on a tint, with a shape."""
    shape = icon(icon_name) if icon_name else ""
    return format_html('<span class="sq-chip {}">{}{}</span>', kind, shape, label)


@register.simple_tag
def phase_chip(phase: str, label: object) -> SafeString:
    """Write the state of a case by what it means, whatever its regulation calls it."""
    kind, shape = _PHASE_CHIPS.get(phase, ("", ""))
    return chip(label, kind, shape)


@register.simple_tag
def sensitivity(level: int) -> SafeString:
    """Draw a sensitivity grade as bars with its word."""
    bars = mark_safe("".join('<u class="on"></u>' if n < level else "<u></u>" for n in range(4)))  # noqa: S308
    return format_html(
        '<span class="sq-sens l{}"><i aria-hidden="true">{}</i>{}</span>', level, bars, _SENSITIVITY[level]
    )


@register.simple_tag
def share(kind: str, label: object) -> SafeString:
    """Draw a share type: a full, half or crossed circle with its words."""
    shape = {"unconditional": "", "conditional": "cond", "not_shared": "no"}.get(kind, "cond")
    return format_html('<span class="sq-share {}">{}</span>', shape, label)


@register.simple_tag
def answer(matched: bool | None, small: bool = False) -> SafeString:
    """Write a comparison's answer: 一致 or 不一致, with a shape; nothing compared is a dash."""
    size = " s" if small else ""
    if matched is None:
        return format_html('<span class="sq-nil{}">—</span>', size)
    kind, shape = ("sq-yes", "circle-check") if matched else ("sq-no", "circle-x")
    words = Text("一致", "Match") if matched else Text("不一致", "No match")
    return format_html('<span class="{}{}">{}{}</span>', kind, size, icon(shape), words)


@register.simple_tag
def bar(share_of_100: float, kind: str = "") -> SafeString:
    """Draw an amount as a bar; the figure stands beside it."""
    width = max(0.0, min(100.0, float(share_of_100)))
    return format_html(
        '<svg class="sq-bar {}" viewBox="0 0 100 6" preserveAspectRatio="none" aria-hidden="true">'
        '<rect width="{}" height="6"/></svg>',
        kind,
        f"{width:.1f}",
    )


@register.inclusion_tag("components/law.html")
def law(ref: ArticleRef | None) -> dict[str, object]:
    """Cite an article; the link opens the clause. A setting of ours is not written in the law's type."""
    return {"ref": ref}


@register.inclusion_tag("components/clause.html")
def clause(article: ArticleText | None) -> dict[str, object]:
    """Quote a clause, its decisive words marked."""
    if article is None:
        return {"article": None}
    return {"article": article, "paragraphs": [_marked(line, article.marked) for line in article.paragraphs]}


def _marked(line: str, marked: Sequence[str]) -> SafeString:
    shown = str(conditional_escape(line))
    for words in marked:
        safe = conditional_escape(words)
        shown = shown.replace(safe, f"<em>{safe}</em>", 1)
    return mark_safe(shown)  # noqa: S308 - escaped above, only our own element is added


@register.inclusion_tag("components/clock.html")
def clock(given: Clock | None, chip: bool = False) -> dict[str, object]:
    """Draw a legal clock: days left, due day, a tick per working day, article."""
    return {"clock": given, "words": days_left(given), "chip": chip}


@register.inclusion_tag("components/ticks.html")
def ticks(given: Clock, big: bool = False) -> dict[str, object]:
    """Draw one tick per working day of a clock."""
    shapes = {"past": "on", "today": "now", "over": "over"}
    return {"shapes": [shapes.get(tick.state, "") for tick in given.ticks], "big": big}


@register.filter
def days_left(given: Clock | None) -> str:
    """Say how a clock stands."""
    if given is None:
        return "—"
    count = abs(given.days_left)
    if given.state == "done":
        words = (
            Text("按期完成", "Done in time") if given.days_left >= 0 else Text("已完成，曾逾期", "Done, late")
        )
    elif given.state == "over" and given.days_left < 0:
        words = Text(f"逾期 {count} 个工作日", f"{count} working days over")
    elif given.days_left == 0:
        words = Text("今天到期", "Due today")
    elif given.provisional:
        words = Text(f"暂定剩 {count} 个工作日", f"{count} working days left, provisional")
    else:
        words = Text(f"剩 {count} 个工作日", f"{count} working days left")
    return str(words)


@register.inclusion_tag("components/stat.html")
def stat(
    label: object, figure: object, unit: object = "", note: object = "", **kwargs: Any
) -> dict[str, object]:
    """Show one figure with its unit and one comparison; `href` leads to the rows behind it."""
    return {"label": label, "figure": figure, "unit": unit, "note": note, **kwargs}


@dataclass(frozen=True)
class Field:
    """One field of a form as its component draws it."""

    name: str
    label: str
    value: object
    error: str
    hint: str
    small: str
    kind: str
    required: bool
    attrs: SafeString

    @property
    def described(self) -> str:
        """Return the ids of what explains the field."""
        parts = [f"{self.name}-hint"] if self.hint else []
        return " ".join([*parts, *([f"{self.name}-error"] if self.error else [])])


@register.inclusion_tag("components/field.html", takes_context=True)
def field(context: template.Context, name: str, label: object, **options: Any) -> dict[str, object]:
    """Draw a labelled field with its hint and, from the page's `faults`, what is wrong with it.

    Options: value, hint, small, kind (text, password, search, date, textarea, select), required, choices,
    and any HTML attribute with `_` for `-`.
    """
    faults = context.get("faults") or {}
    known = ("value", "hint", "small", "kind", "required", "choices", "wide")
    attrs = {key.replace("_", "-"): value for key, value in options.items() if key not in known and value}
    drawn = Field(
        name=name,
        label=str(label),
        value=options.get("value", ""),
        error=str(faults.get(name, "")),
        hint=str(options.get("hint", "")),
        small=str(options.get("small", "")),
        kind=str(options.get("kind", "text")),
        required=bool(options.get("required")),
        attrs=mark_safe(flatatt(attrs)),  # noqa: S308 - flatatt escapes
    )
    return {"f": drawn, "choices": options.get("choices", ())}


@register.inclusion_tag("components/actor.html")
def actor(who: ActorRef | None, with_department: bool = False) -> dict[str, object]:
    """Name a system or person, its code small beside it."""
    return {"who": who, "with_department": with_department}


@register.inclusion_tag("components/note.html")
def note(kind: str, words: object, title: object = "") -> dict[str, object]:
    """Tell something: info, ok, warn or bad; bad is announced at once."""
    return {"kind": kind, "words": words, "title": title, "icon": _NOTE_ICONS[kind]}


@register.inclusion_tag("components/empty.html")
def empty(title: object, words: object, href: str = "", action: object = "") -> dict[str, object]:
    """Say what will appear here, then offer one action."""
    return {"title": title, "words": words, "href": href, "action": action}


@register.inclusion_tag("components/progress.html")
def progress(
    label: object, done: int, total: int, left: object = "", failed: bool = False
) -> dict[str, object]:
    """Show work under way: amount, total, time left."""
    percent = round(100 * done / total) if total else 0
    return {"label": label, "done": done, "total": total, "left": left, "percent": percent, "failed": failed}


@register.inclusion_tag("components/steps.html")
def steps(labels: Sequence[object], now: int) -> dict[str, object]:
    """Draw the steps of a wizard: done, current, ahead; `now` counts from 1."""
    shape = ("done", "now", "")
    drawn = [(label, shape[(n > now) + (n >= now)]) for n, label in enumerate(labels, 1)]
    return {"steps": drawn}


@register.inclusion_tag("components/pager.html", takes_context=True)
def pager(context: template.Context, page: int, pages: int, total: int) -> dict[str, object]:
    """Lead to the pages before and after, keeping every filter of the address."""
    request = context["request"]

    def address(number: int) -> str:
        query = request.GET.copy()
        query["page"] = str(number)
        return f"?{query.urlencode()}"

    before = address(page - 1) if page > 1 else ""
    return {
        "page": page,
        "pages": pages,
        "total": total,
        "before": before,
        "after": address(page + 1) if page < pages else "",
    }


@register.inclusion_tag("components/timeline.html")
def timeline(steps: Sequence[object]) -> dict[str, object]:
    """Draw the steps of a case: done, current with its clause, ahead, and those only a dispute starts."""
    main = [step for step in steps if getattr(step, "status", "") != "dispute"]
    dispute = [step for step in steps if getattr(step, "status", "") == "dispute"]
    return {"main": main, "dispute": dispute}
