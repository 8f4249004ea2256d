"""Sessions of the joint review: collecting disputes, convening, opinions and decisions."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST, require_safe

from shuqiao.control.accounts.access import Viewer
from shuqiao.control.disputes.session_page import session_list, session_page
from shuqiao.control.disputes.sessions import MAX_AGENDA, collect_now, convene
from shuqiao.control.texts import Text
from shuqiao.control.web.forms import Faults, form_of, say_done, show_form
from shuqiao.control.web.reading import read_day
from shuqiao.control.web.shell import show, signed_in


@require_safe
@signed_in
def sessions(request: HttpRequest, viewer: Viewer) -> HttpResponse:
    """List the sessions and say when the next is due."""
    return show(request, viewer, "pages/reviews.html", {"page": session_list(viewer)})


@require_POST
@signed_in
def collect(request: HttpRequest, viewer: Viewer) -> HttpResponse:
    """Collect the open disputes now."""
    number = collect_now(viewer)
    if number is None:
        words = Text("现在没有待会审的争议。", "No dispute waits for a joint review.")
        messages.error(request, str(words))
        return redirect("reviews")
    return redirect("review", number=number)


@require_safe
@signed_in
def session(request: HttpRequest, viewer: Viewer, number: str) -> HttpResponse:
    """Show one session: agenda, opinions, decisions."""
    return _session_page(request, viewer, {}, number)


def _session_page(request: HttpRequest, viewer: Viewer, faults: Faults, number: str) -> HttpResponse:
    page = session_page(viewer, number)
    posted = request.method == "POST"
    chosen = set(request.POST.getlist("disputes")) if posted else {row.dispute.number for row in page.agenda}
    context = {"page": page, "values": request.POST, "chosen": chosen}
    return show_form(request, viewer, "pages/review.html", context, faults, section="reviews")


@require_POST
@signed_in
@form_of(_session_page)
def session_convene(request: HttpRequest, viewer: Viewer, number: str) -> HttpResponse:
    """Convene the session for a day with the chosen disputes."""
    chosen = tuple(one[:20] for one in request.POST.getlist("disputes")[:MAX_AGENDA])
    convene(viewer, number, read_day(request.POST.get("held_on", "")), chosen)
    words = Text("会审已召集，各成员单位已收到通知。", "Convened; the members have been told.")
    return say_done(request, words, "review", number=number)
