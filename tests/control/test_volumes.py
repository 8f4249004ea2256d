"""What the processes state of their volumes: on a page, in the log, once a day of each."""

from dataclasses import replace

import pytest
from django.conf import settings
from django.db import DatabaseError, connection, transaction
from django.test import Client

from shuqiao.control.accounts.access import NotFound
from shuqiao.control.accounts.models import Account
from shuqiao.control.operations.volumes import SERVERS, state_volumes, volumes_page
from shuqiao.security.volumes import read_volume_settings

from .conftest import audit_entries, beyond_control, rows


def told(environment):
    """The worker's settings with these variables."""
    return replace(settings.CONFIG, volumes=read_volume_settings(environment))


@pytest.mark.requirement("SEC-01")
def test_every_server_is_stated_also_the_one_nobody_said_anything_of(city, settings, tmp_path):
    settings.CONFIG = told(
        {
            "SHUQIAO_VOLUMES": f"hub-database={tmp_path}",
            "SHUQIAO_VOLUMES_DECLARED": "messages=样例 王工, 2026-11-20; hub-database=样例 王工, 2026-11-20",
        }
    )
    assert state_volumes() == len(SERVERS)
    assert state_volumes() == 0, "stated once"
    page = volumes_page(city.viewer("ma"))
    stated = {str(row.place): row for row in page.rows}
    assert len(stated) == len(SERVERS)
    assert page.rows[0].state == "unknown" and page.rows[0].is_open, "what lies open comes first"
    assert page.open_count == 1
    assert len(audit_entries("volume_stated")) == len(SERVERS)
    body = rows("SELECT body FROM audit.entry WHERE event = 'volume_stated' AND outcome = 'declared'")
    assert all("样例 王工" in row[0] and "2026-11-20" in row[0] for row in body) and body


def test_a_change_and_a_new_day_are_new_entries(city, settings):
    settings.CONFIG = told({})
    state_volumes()
    before = len(audit_entries("volume_stated"))
    settings.CONFIG = told({"SHUQIAO_VOLUMES_DECLARED": "messages=样例 王工, 2026-11-20"})
    assert state_volumes() == 1
    with beyond_control():
        rows("UPDATE exchange.volume SET stated_at = stated_at - interval '1 day' RETURNING 1")
    assert state_volumes() == len(SERVERS)
    assert len(audit_entries("volume_stated")) == before + 1 + len(SERVERS)


def test_the_page_is_for_those_who_watch_over_the_platform(city, settings):
    settings.CONFIG = told({})
    state_volumes()
    for username in ("lin", "wu", "tan"):
        with pytest.raises(NotFound):
            volumes_page(city.viewer(username))
    client = Client()
    client.force_login(Account.objects.get(username="ma"))
    shown = client.get("/volumes/").content.decode()
    assert "平台数据库" in shown and "身份保险库的数据库" in shown and "消息服务的存储" in shown
    assert "有 3 处没有加密" in shown and "SHUQIAO_VOLUMES_DECLARED" in shown
    assert shown.count("平台写入前已自行加密") == 1, "the message server's store alone"
    client.cookies.load({"django_language": "en"})
    english = client.get("/volumes/").content.decode()
    assert "3 places are not encrypted" in english


def test_a_declaration_without_a_name_or_a_day_is_none(city):
    for values in (
        ("control", "host", "messages", "declared", "", "", "2026-11-20"),
        ("control", "host", "messages", "declared", "", "样例 王工", None),
        ("control", "host", "messages", "encrypted", "", "样例 王工", "2026-11-20"),
        ("control", "host", "messages", "safe", "", "", None),
    ):
        with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT exchange.state_volume(%s, %s, %s, %s, %s, %s, %s)", values)
    assert audit_entries("volume_stated") == []
