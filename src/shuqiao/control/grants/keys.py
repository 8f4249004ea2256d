"""Keys that pages need to call the plane: the portal applications' own, and the platform's public ones."""

from collections.abc import Mapping
from pathlib import Path

from django.conf import settings
from django.db import connection

from shuqiao.control.organisations.models import Application
from shuqiao.security import keys
from shuqiao.security.http_signatures import KeySigner, key_signer


def portal_key_file(application: str) -> Path:
    """Return where the private key of a portal application lies; ids are checked before they are stored."""
    return settings.CONFIG.portal_keys / f"{application}.key"


def portal_signer(application: Application) -> KeySigner:
    """Return the signer of a portal application; raises `KeyRefusedError` for an unsafe key file."""
    return key_signer(keys.load_signing_key(portal_key_file(application.id)))


def promise_keys() -> Mapping[str, keys.PublicKey]:
    """Return the platform's public keys that sign promises, by id."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT id, public_key FROM exchange.signing_key WHERE purpose = 'promise'")
        return {str(key_id): keys.load_public_der(bytes(der)) for key_id, der in cursor.fetchall()}
