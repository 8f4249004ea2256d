"""The read actions of CKAN's API over HTTP, as a CKAN client calls them."""

from collections.abc import Mapping

import msgspec
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods, require_safe

from shuqiao.control.exports.ckan import Asker, CkanRefused, act, answer, refusal
from shuqiao.control.exports.ckan_query import Params
from shuqiao.control.texts import Text
from shuqiao.control.web.outside_reading import Reading, outside

MAX_BODY = 64 * 1024
MAX_PARAMETERS = 40
_TYPES = {
    401: "Authorization Error",
    403: "Authorization Error",
    404: "Not Found Error",
    429: "Too Many Requests",
}


def _refuse(status: int, code: str, words: Text) -> HttpResponse:
    """Refuse in the way CKAN's clients read: they know no problem details."""
    kind = _TYPES.get(status, "Bad request")
    status = 403 if status == 401 else status
    error = {"__type": kind, "message": str(words), "code": code}
    return _json({"help": "", "success": False, "error": error}, status)


def _form(_request: HttpRequest, _suffix: str) -> str | None:
    return "ckan"


# A client posts what it asks and carries no token of the pages; nothing here changes anything.
@csrf_exempt
@require_http_methods(["GET", "HEAD", "POST"])
@outside(_form, _refuse)
def action(request: HttpRequest, reading: Reading, name: str) -> HttpResponseBase:
    """Answer one action; `name` may be any word, and one that isn't an action is refused as CKAN does."""
    help_url = f"{reading.places.base}/api/3/action/help_show?name={name}"
    try:
        asker = Asker(reading.reader, reading.places, reading.edition)
        return _json(answer(help_url, act(name, asker, _parameters(request))), 200)
    except CkanRefused as refused:
        return _json(refusal(help_url, refused), refused.status)


@require_safe
def version(_request: HttpRequest) -> HttpResponse:
    """Tell the version of the API."""
    return _json({"version": 3}, 200)


def _json(content: Mapping[str, object], status: int) -> HttpResponse:
    return JsonResponse(content, status=status, json_dumps_params={"ensure_ascii": False})


def _parameters(request: HttpRequest) -> Params:
    """Read the parameters from the query or, of a POST, from its JSON or form."""
    given: Params
    if request.method == "POST" and request.content_type != "application/x-www-form-urlencoded":
        given = _from_json(request)
    else:
        pairs = (request.POST if request.method == "POST" else request.GET).lists()
        given = {name: values[0] if len(values) == 1 else list(values) for name, values in pairs}
    if len(given) > MAX_PARAMETERS:
        raise CkanRefused(400, "Bad request", message="Too many parameters")
    return given


def _from_json(request: HttpRequest) -> Params:
    length = request.headers.get("Content-Length", "0")
    if not length.isdigit() or int(length) > MAX_BODY:
        raise CkanRefused(400, "Bad request", message="The request is too large")
    if not request.body:
        return {}
    try:
        return msgspec.json.decode(request.body, type=dict[str, object])
    except (msgspec.DecodeError, msgspec.ValidationError, RecursionError):
        raise CkanRefused(400, "Bad request", message="JSON Error: expected an object") from None
