"""A person's own account: who the platform takes them for, and where their notices are mailed."""

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_http_methods

from shuqiao.control.accounts.access import Viewer
from shuqiao.control.accounts.actions import set_email
from shuqiao.control.accounts.models import Account
from shuqiao.control.texts import Text
from shuqiao.control.web.forms import Faults, form_of, say_done, show_form
from shuqiao.control.web.shell import signed_in

MAX_ADDRESS_CHARS = 254


def _account_page(request: HttpRequest, viewer: Viewer, faults: Faults) -> HttpResponse:
    email = _given(request) if request.method == "POST" else _address(viewer)
    return show_form(request, viewer, "pages/own_account.html", {"email": email}, faults)


@require_http_methods(["GET", "HEAD", "POST"])
@signed_in
@form_of(_account_page)
def own_account(request: HttpRequest, viewer: Viewer) -> HttpResponse:
    """Show the account; a posted address is taken, or shown with what is wrong."""
    set_email(viewer, _given(request))
    return say_done(request, Text("已保存", "Saved"), "own_account")


def _given(request: HttpRequest) -> str:
    return request.POST.get("email", "")[: MAX_ADDRESS_CHARS + 1]


def _address(viewer: Viewer) -> str:
    return Account.objects.values_list("email", flat=True).get(pk=viewer.account_id)
