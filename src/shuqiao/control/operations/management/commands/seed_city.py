"""`seed_city --credentials FILE`: make the sample city and write who may sign in and sign calls."""

import base64
import json
import os
import secrets
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from shuqiao.control.accounts.models import Account
from shuqiao.control.grants.keys import promise_keys
from shuqiao.control.operations import sample
from shuqiao.control.operations.sample_interface import offer_sample_interface
from shuqiao.control.operations.sample_reviews import sign_sample_reviews
from shuqiao.control.operations.seed import Seeding, seed_city
from shuqiao.control.regulations.current import regulation
from shuqiao.security import keys

PASSWORD_BYTES = 12


class Command(BaseCommand):
    """Seeds departments, accounts, applications and catalogue; running it again changes nothing."""

    help = "Make the sample city; writes accounts and application keys to a JSON file of mode 0600."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the place of the credentials file, and a list with the description of its interface."""
        parser.add_argument("--credentials", type=Path, required=True, metavar="FILE")
        parser.add_argument(
            "--reviewed", action="append", default=[], metavar="ENTRY=VERSION", help="a mapping to review"
        )
        parser.add_argument("--interface", nargs=2, metavar=("LIST", "FILE"), help="serve a list by it")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Write the passwords before the accounts exist: killed in between, the next run still knows them."""
        file: Path = options["credentials"]
        known = _read(file)
        passwords = {
            account.username: known.get(account.username) or secrets.token_urlsafe(PASSWORD_BYTES)
            for account in sample.ACCOUNTS
        }
        is_new = set(passwords) != set(known)
        if is_new:
            _write(file, {"accounts": _passwords_only(passwords), "seeded": False})
        seed_city(
            regulation(),
            Seeding(passwords, file.parent / "keys", renew_passwords=is_new or not _is_seeded(file)),
        )
        if options.get("interface"):
            list_key, description = options["interface"]
            offer_sample_interface(regulation(), list_key, Path(description))
        sign_sample_reviews(regulation(), dict(one.split("=", 1) for one in options.get("reviewed") or ()))
        _write(file, _credentials(file, passwords))


def _passwords_only(passwords: dict[str, str]) -> list[dict[str, str]]:
    return [{"username": name, "password": password} for name, password in passwords.items()]


def _content(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _read(file: Path) -> dict[str, str]:
    return {account["username"]: account["password"] for account in _content(file).get("accounts", [])}


def _is_seeded(file: Path) -> bool:
    return bool(_content(file).get("seeded"))


def _credentials(file: Path, passwords: dict[str, str]) -> dict[str, Any]:
    home = file.parent.parent
    rules = regulation()
    accounts = []
    for account in Account.objects.select_related("department").filter(username__in=passwords).order_by("pk"):
        role = rules.role(account.role)
        accounts.append(
            {
                "username": account.username,
                "password": passwords[account.username],
                "display_name": account.display_name,
                "department": account.department_id,
                "department_zh": account.department.name_zh,
                "role": account.role,
                "role_zh": role.zh if role else account.role,
                "role_en": role.en if role else account.role,
            }
        )
    return {
        "seeded": True,
        "plane_url": settings.CONFIG.plane_url,
        "accounts": accounts,
        "applications": {
            given.id: {
                "department": f"{rules.region}-{given.department}",
                "name_zh": given.zh,
                "name_en": given.en,
                "key_file": os.path.relpath(file.parent / "keys" / f"{given.id}.key", home),
            }
            for given in sample.APPLICATIONS
        },
        "promise_keys": [
            {"id": key_id, "public_key": base64.b64encode(keys.public_der(key)).decode()}
            for key_id, key in promise_keys().items()
        ],
    }


def _write(file: Path, content: dict[str, Any]) -> None:
    """Replace the file whole; nobody but its owner can read it at any moment."""
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = file.with_name(f".{file.name}.{secrets.token_hex(6)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as out:
        json.dump(content, out, ensure_ascii=False, indent=2)
        out.flush()
        os.fsync(out.fileno())
    temporary.replace(file)
