"""Views that take a form: what its page shows, what it does, and what is wrong said at its fields."""

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, Concatenate, ParamSpec

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import resolve_url

from shuqiao.control.accounts.access import FormRefused, Viewer
from shuqiao.control.texts import Text
from shuqiao.control.web.reading import faults_of
from shuqiao.control.web.shell import Page, show

P = ParamSpec("P")
Faults = Mapping[str, Text]
"""What is wrong with a form, by field; empty while nothing is."""
FormPage = Callable[Concatenate[HttpRequest, Viewer, Faults, P], HttpResponse]


def form_of(page: FormPage[P]) -> Callable[[Page[P]], Page[P]]:
    """Make the view of a form out of what it does with one that is posted.

    `page` shows the form: to whoever comes to it, and again, with every fault, to whoever sent one that was
    refused. It takes what the view takes, after the faults. It is no gate: the action itself says who may.
    """

    def taking(take: Page[P]) -> Page[P]:
        @wraps(take)
        def view(request: HttpRequest, viewer: Viewer, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
            if request.method != "POST":
                return page(request, viewer, {}, *args, **kwargs)
            try:
                return take(request, viewer, *args, **kwargs)
            except FormRefused as refused:
                return page(request, viewer, faults_of(refused), *args, **kwargs)

        return view

    return taking


def show_form(
    request: HttpRequest,
    viewer: Viewer,
    template: str,
    context: Mapping[str, Any],
    faults: Faults,
    *,
    section: str = "",
) -> HttpResponse:
    """Show the page of a form: as 422 where something is wrong, so that no program takes it for done."""
    return show(
        request,
        viewer,
        template,
        {**context, "faults": faults},
        status=422 if faults else 200,
        section=section,
    )


def say_done(request: HttpRequest, words: Text, to: str, **place: object) -> HttpResponse:
    """Say what was done on the page it leads to: `to` names a view or is an address."""
    messages.success(request, str(words))
    return HttpResponseRedirect(resolve_url(to, **place))


def say_refused(request: HttpRequest, refused: FormRefused, to: str, **place: object) -> HttpResponse:
    """Say the first thing that is wrong on the page it leads to, where a form is too small to show it."""
    messages.error(request, str(refused.faults[0].message))
    return HttpResponseRedirect(resolve_url(to, **place))
