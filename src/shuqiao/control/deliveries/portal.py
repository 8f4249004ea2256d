"""The pages' way to the plane: under the portal's own key, in the name of the person who looks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import httpx
from django.conf import settings
from django.utils.translation import get_language

from shuqiao.client.bulk import BulkClient
from shuqiao.client.fetching import CopyBroken, CopyRefused
from shuqiao.client.plane import PlaneAnswer, PlaneClient, PlaneUnreachable, PromiseBroken
from shuqiao.control.accounts.access import NotFound, Viewer
from shuqiao.control.deliveries.access import BulkGrant
from shuqiao.control.grants.keys import portal_signer, promise_keys
from shuqiao.control.regulations.queries import citations
from shuqiao.control.texts import Text
from shuqiao.rules.errors import BY_CODE, Unavailable
from shuqiao.security.http_signatures import CallContext

_TROUBLES = (PlaneUnreachable, PromiseBroken, CopyBroken, httpx.HTTPError)


class PlaneRefused(Exception):
    """The plane refused; `message` is its own, in the reader's language."""

    def __init__(self, code: str, message: Text) -> None:
        """Keep what the page shows."""
        super().__init__(code)
        self.code = code
        self.message = message


@contextmanager
def through_plane(viewer: Viewer, found: BulkGrant) -> Iterator[tuple[BulkClient, CallContext]]:
    """Give a client and the context of this viewer; whatever the plane refuses is `PlaneRefused`."""
    if found.portal is None:
        raise NotFound
    context = CallContext(found.grant.purpose, viewer.username, found.grant.number)
    language = "en" if (get_language() or "").startswith("en") else "zh"
    keys, url = promise_keys(), settings.CONFIG.plane_url
    ca_file = settings.CONFIG.plane_ca_file
    with PlaneClient(
        url, portal_signer(found.portal), promise_keys=keys, language=language, ca_file=ca_file
    ) as plane:
        bulk = BulkClient(plane, url, keys)
        try:
            yield bulk, context
        except CopyRefused as refused:
            raise PlaneRefused(refused.code, _words(refused.code, refused.detail)) from refused
        except _TROUBLES as trouble:
            raise PlaneRefused(Unavailable.code, _words(Unavailable.code, "")) from trouble
        finally:
            bulk.close()


def check(answer: PlaneAnswer) -> PlaneAnswer:
    """Pass an answer on; raises `PlaneRefused` for a refusal."""
    if not answer.is_answered:
        code = answer.code or Unavailable.code
        raise PlaneRefused(code, _words(code, str(answer.body.get("detail", ""))))
    return answer


def _words(code: str, detail: str) -> Text:
    if detail:
        return Text(detail, detail)
    kind = BY_CODE.get(code, Unavailable)
    error, said = (kind if not kind.field_names else Unavailable)(), citations()
    return Text(error.explain("zh", said), error.explain("en", said))
