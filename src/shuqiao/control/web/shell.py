"""What surrounds every page: who is looking, where they can go, which regulation is in force."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import wraps
from typing import Any, Concatenate, ParamSpec, cast

from django.conf import settings
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse

from shuqiao.control.accounts.access import Viewer, viewer_of
from shuqiao.control.accounts.capabilities import Capability
from shuqiao.control.accounts.models import Account
from shuqiao.control.alarms.access import sees_alarms
from shuqiao.control.compiling.pages import may_see as sees_compiling
from shuqiao.control.compiling.pages import waiting_count as compilations_waiting
from shuqiao.control.disputes.queries import sees_disputes, sees_reviews, waiting_count
from shuqiao.control.enrolments.page import sees_systems
from shuqiao.control.exchange.access import sees_exchange
from shuqiao.control.exchange.subscriptions import sees_feeds
from shuqiao.control.interconnection.access import sees_business_systems
from shuqiao.control.operations.audit import may_read_audit
from shuqiao.control.operations.volumes import sees_volumes
from shuqiao.control.othersystems.access import sees_other_systems
from shuqiao.control.recalls.access import sees_recalls
from shuqiao.control.regulations.current import regulation
from shuqiao.control.regulations.queries import regulation_name
from shuqiao.control.regulations.wording import articles_of
from shuqiao.control.texts import Text
from shuqiao.control.updating.access import sees_updates
from shuqiao.control.web.badges import Badges, badges
from shuqiao.rules.errors import ShuqiaoError

P = ParamSpec("P")
Page = Callable[Concatenate[HttpRequest, Viewer, P], HttpResponse]


@dataclass(frozen=True)
class Link:
    """One entry of the side navigation; `hot` marks a count of overdue things."""

    label: Text
    href: str
    icon: str
    current: bool = False
    count: int = 0
    hot: bool = False


@dataclass(frozen=True)
class Group:
    """A titled group of links."""

    label: Text
    links: tuple[Link, ...]


@dataclass(frozen=True)
class Shell:
    """The frame of a page for one viewer."""

    viewer: Viewer
    navigation: tuple[Group, ...]
    regulation: Text
    regulation_ref: str
    sample: bool


def signed_in(view: Page[P]) -> Callable[Concatenate[HttpRequest, P], HttpResponse]:
    """Give a page its viewer; strangers go to the sign-in page, refusals become a page that says why."""

    @wraps(view)
    def page(request: HttpRequest, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        account = request.user
        if not isinstance(account, Account) or not account.is_active:
            return redirect_to_login(request.get_full_path(), reverse("sign_in"))
        viewer = viewer_of(account)
        try:
            response = view(request, viewer, *args, **kwargs)
        except ShuqiaoError as error:
            return problem(request, viewer, error)
        # Pages show what only this viewer may see: nothing on the way keeps them.
        response.headers.setdefault("Cache-Control", "no-store")
        return response

    # `wraps` gives a type of its own that names the first parameter; Django passes it by place.
    return cast(Callable[Concatenate[HttpRequest, P], HttpResponse], page)


def problem(request: HttpRequest, viewer: Viewer, error: ShuqiaoError) -> HttpResponse:
    """Show why something was refused, under which rule, and what to do."""
    said = Text(error.said("zh"), error.said("en"))
    context = {"words": said, "articles": articles_of(error), "code": error.code}
    return show(request, viewer, "problem.html", context, status=error.status)


def show(
    request: HttpRequest,
    viewer: Viewer,
    template: str,
    context: Mapping[str, Any],
    *,
    status: int = 200,
    section: str = "",
) -> HttpResponse:
    """Render a page within the frame; `section` names the entry of the navigation it belongs to."""
    place = reverse(section) if section else request.path
    return render(request, template, {**context, "shell": shell_of(viewer, place)}, status=status)


def sees_proof(viewer: Viewer, *departments: str) -> bool:
    """Tell whether a viewer may open the audit entries of what these departments have done together."""
    own = viewer.can(Capability.AUDIT_VIEW) and viewer.department.code in departments
    return own or viewer.can(Capability.AUDIT_VIEW_ALL)


def is_partial(request: HttpRequest) -> bool:
    """Tell whether htmx asks for a part of a page."""
    return request.headers.get("HX-Request") == "true"


def shell_of(viewer: Viewer, place: str) -> Shell:
    """Build the frame for a viewer at an address: only what the role may do is offered."""
    return Shell(
        viewer=viewer,
        navigation=_navigation(viewer, place),
        regulation=regulation_name(),
        regulation_ref=reverse("regulation", args=[settings.CONFIG.regulation]),
        sample=settings.SAMPLE_DATA,
    )


def _navigation(viewer: Viewer, path: str) -> tuple[Group, ...]:
    counts = badges(viewer)
    groups = (
        Group(Text("我的工作", "My work"), _work(viewer, path, counts)),
        Group(Text("目录", "Catalogue"), _catalogue(viewer, path)),
        Group(Text("使用", "Use"), _use(viewer, path, counts)),
        Group(Text("争议", "Disputes"), _disputes(viewer, path)),
        Group(Text("规则", "Rules"), _rules(viewer, path)),
        Group(Text("交换与接入", "Exchange"), _exchange(viewer, path)),
        Group(Text("凭据", "Evidence"), _evidence(viewer, path)),
    )
    return _nearest_only(tuple(group for group in groups if group.links))


def _nearest_only(groups: tuple[Group, ...]) -> tuple[Group, ...]:
    """Of entries that lie above each other in the address, let the nearest one be the current one."""
    current = [link.href for group in groups for link in group.links if link.current]
    nearest = max(current, key=len, default="")
    return tuple(
        replace(group, links=tuple(replace(one, current=one.href == nearest) for one in group.links))
        for group in groups
    )


def _link(path: str, label: Text, name: str, icon: str, count: int = 0, *, hot: bool = False) -> Link:
    href = reverse(name)
    # The list of requests lies above the inbox in the address, not in the navigation.
    current = path == href if name in ("workbench", "my_requests") else path.startswith(href)
    return Link(label, href, icon, current, count, hot)


def _work(viewer: Viewer, path: str, counts: Badges) -> tuple[Link, ...]:
    links = [_link(path, Text("工作台", "Workbench"), "workbench", "layout-list")]
    if viewer.can(Capability.REQUEST_ANSWER) or viewer.can(Capability.ANSWER_CONFIRM):
        words = Text("收到的申请", "Requests received")
        links.append(_link(path, words, "inbox", "inbox", counts.to_answer, hot=counts.overdue > 0))
    if viewer.can(Capability.REQUEST_SUBMIT):
        words = Text("我的申请", "Our requests")
        links.append(_link(path, words, "my_requests", "send", counts.own_open))
    if viewer.can(Capability.REQUEST_SUBMIT) or viewer.can(Capability.REQUEST_ANSWER):
        links.append(_link(path, Text("专项共享", "Special projects"), "projects", "target-arrow"))
        links.append(_link(path, Text("目录外信息", "Outside the catalogue"), "outside", "zoom-question"))
        if "publication" in regulation().procedures:
            words = Text("对外提供或发布", "Passing on, publishing")
            links.append(_link(path, words, "publications", "speakerphone"))
    return tuple(links)


def _catalogue(viewer: Viewer, path: str) -> tuple[Link, ...]:
    if not viewer.can(Capability.CATALOGUE_SEARCH):
        return ()
    return (
        _link(path, Text("检索目录", "Search the catalogue"), "catalogue", "search"),
        _link(path, Text("收藏与订阅", "Kept and followed"), "following", "star"),
        *_compiling(viewer, path),
        *_upkeep(viewer, path),
        _link(path, Text("数据库", "Libraries"), "libraries", "database"),
        _link(path, Text("是否已可共享", "Already available?"), "form_checks", "list-search"),
        _link(path, Text("数据来源", "Sources of data"), "sources", "git-merge"),
        _link(path, Text("采集计划", "Planned collections"), "collections", "clipboard-list"),
    )


def _upkeep(viewer: Viewer, path: str) -> tuple[Link, ...]:
    involved = (Capability.CATALOGUE_EDIT, Capability.CATALOGUE_REVIEW, Capability.AUDIT_VIEW_ALL)
    if not any(viewer.can(capability) for capability in involved):
        return ()
    return (_link(path, Text("目录维护", "Upkeep"), "upkeep", "refresh"),)


def _compiling(viewer: Viewer, path: str) -> tuple[Link, ...]:
    if not sees_compiling(viewer):
        return ()
    count = compilations_waiting(viewer)
    return (_link(path, Text("目录编制", "Compiling"), "compilations", "edit", count),)


def _use(viewer: Viewer, path: str, counts: Badges) -> tuple[Link, ...]:
    links = []
    if viewer.can(Capability.GRANT_USE):
        links.append(_link(path, Text("核验", "Verify"), "verify_start", "checks"))
    if viewer.can(Capability.GRANT_USE) or viewer.can(Capability.GRANT_REVOKE):
        links.append(_link(path, Text("授权", "Grants"), "grants", "key", counts.grants))
    return tuple(links)


def _disputes(viewer: Viewer, path: str) -> tuple[Link, ...]:
    links = []
    if sees_disputes(viewer):
        words = Text("争议处理", "Disputes")
        links.append(_link(path, words, "disputes", "scale", waiting_count(viewer)))
    if sees_reviews(viewer):
        links.append(_link(path, Text("联合会审", "Joint review"), "reviews", "users-group"))
    links.append(_link(path, Text("结果公示", "Published results"), "dispute_results", "speakerphone"))
    links.append(_link(path, Text("项目关口", "Project gate"), "project_gate", "barrier-block"))
    return tuple(links)


def _rules(viewer: Viewer, path: str) -> tuple[Link, ...]:
    links = (
        _link(path, Text("规则", "Regulations"), "regulations", "books"),
        _link(path, Text("工作日历", "Working calendar"), "calendar", "calendar"),
        _link(path, Text("标准", "Standards"), "standards", "ruler-2"),
    )
    if not viewer.can(Capability.REPLIES_VIEW):
        return links
    return (*links, _link(path, Text("答复时效", "Times of reply"), "replies", "hourglass"))


def _exchange(viewer: Viewer, path: str) -> tuple[Link, ...]:
    links = []
    if sees_exchange(viewer):
        links.append(_link(path, Text("交换监控", "Nodes and jobs"), "exchange", "route"))
    if sees_updates(viewer):
        links.append(_link(path, Text("数据更新", "Updates of data"), "data_changes", "refresh-dot"))
    if sees_feeds(viewer) or sees_recalls(viewer):
        to = "feeds" if sees_feeds(viewer) else "recalls"
        links.append(_link(path, Text("订阅与召回", "Feeds and recalls"), to, "arrow-back-up"))
    if sees_systems(viewer):
        links.append(_link(path, Text("系统与密钥", "Systems and keys"), "systems", "key"))
    if sees_business_systems(viewer):
        words = Text("业务系统接入", "Business systems")
        links.append(_link(path, words, "business_systems", "plug-connected"))
    if sees_other_systems(viewer):
        words = Text("其他交换系统", "Other exchange systems")
        links.append(_link(path, words, "other_systems", "arrows-exchange"))
    return tuple(links)


def _evidence(viewer: Viewer, path: str) -> tuple[Link, ...]:
    links = []
    if may_read_audit(viewer):
        links.append(_link(path, Text("审计与存证", "Audit and proof"), "audit", "shield-check"))
    if sees_alarms(viewer):
        links.append(_link(path, Text("使用告警", "Alarms over use"), "alarms", "bell-ringing"))
    if sees_volumes(viewer):
        links.append(_link(path, Text("存储加密", "Encryption at rest"), "volumes", "lock"))
    return tuple(links)
