"""The edition of the catalogue: one word that changes when anything given to others does.

It lets readers keep an answer and ask only whether it still holds.
"""

import hashlib
from functools import cache
from importlib.metadata import version

from django.conf import settings
from django.db import connection
from django.utils.translation import get_language

from shuqiao.control.exports.readers import Reader


def edition() -> str:
    """Name what is given out now: the catalogue's rows, the regulation in force and this release."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*), coalesce(max(id), 0) FROM exports_edition")
        count, last = cursor.fetchone() or (0, 0)
    named = (str(count), str(last), settings.CONFIG.regulation, _release())
    return hashlib.sha256("\n".join(named).encode()).hexdigest()[:20]


@cache
def _release() -> str:
    return version("shuqiao")


def entity_tag(now: str, reader: Reader, kind: str) -> str:
    """The tag of an answer of one kind to one sort of reader; the address tells the rest."""
    return f'W/"{now}-{reader.value}-{kind}-{get_language() or "zh"}"'
