"""A person's own account: who the platform takes them for, and where their notices are mailed."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_http_methods

from shuqiao.control.accounts.access import FormRefused, Viewer
from shuqiao.control.accounts.actions import set_email
from shuqiao.control.accounts.models import Account
from shuqiao.control.texts import Text
from shuqiao.control.web.reading import faults_of
from shuqiao.control.web.shell import show, signed_in

MAX_ADDRESS_CHARS = 254


@require_http_methods(["GET", "HEAD", "POST"])
@signed_in
def own_account(request: HttpRequest, viewer: Viewer) -> HttpResponse:
    """Show the account; a posted address is taken, or shown with what is wrong."""
    if request.method != "POST":
        return show(request, viewer, "pages/own_account.html", {"email": _address(viewer), "faults": {}})
    given = request.POST.get("email", "")[: MAX_ADDRESS_CHARS + 1]
    try:
        set_email(viewer, given)
    except FormRefused as refused:
        context = {"email": given, "faults": faults_of(refused)}
        return show(request, viewer, "pages/own_account.html", context, status=422)
    messages.success(request, str(Text("已保存", "Saved")))
    return redirect("own_account")


def _address(viewer: Viewer) -> str:
    return Account.objects.values_list("email", flat=True).get(pk=viewer.account_id)
