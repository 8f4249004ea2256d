"""Saying that the data of an entry stay with the department."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST

from shuqiao.control.accounts.access import FormRefused, Viewer
from shuqiao.control.catalogue.services import keep_at_node
from shuqiao.control.texts import Text
from shuqiao.control.web.shell import signed_in


@require_POST
@signed_in
def keep(request: HttpRequest, viewer: Viewer, resource: str) -> HttpResponse:
    """Let the department's node answer for an entry, or say what stands in the way."""
    try:
        keep_at_node(viewer, resource)
    except FormRefused as refused:
        for fault in refused.faults:
            messages.error(request, str(fault.message))
    else:
        words = Text(
            "已登记：数据留存本部门。请重新登记前置机，使其得知。",
            "Recorded: the data stay here. Enrol the node anew so that it knows.",
        )
        messages.success(request, str(words))
    return redirect("entry", resource=resource)
