"""Telling a department's technicians and the platform agency when a node falls silent.

Source: shenyang-2016 art. 8; our choice, decision "the hub knows its nodes".
"""

from django.db import connection, transaction

from shuqiao.control.accounts.capabilities import Capability
from shuqiao.control.accounts.notices import notify
from shuqiao.control.exchange.words import SILENT_AFTER_S
from shuqiao.control.organisations.bodies import PLATFORM_AGENCY, bodies_with
from shuqiao.control.organisations.queries import department_refs


@transaction.atomic
def watch_silence() -> int:
    """Notice new silences and tell of them; return how many. Safe late, twice, and beside another."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM exchange.note_silence(make_interval(secs => %s))", [SILENT_AFTER_S])
        silent = cursor.fetchall()
    refs = department_refs()
    for department, heard_at in silent:
        name = refs[department].name
        params = {"name_zh": name.zh, "name_en": name.en}
        told = [(department, Capability.NODES_WATCH)]
        told += [(agency, Capability.NODES_WATCH) for agency in bodies_with(PLATFORM_AGENCY)]
        for body, capability in told:
            notify(
                body,
                "node_silent",
                department,
                capability=capability,
                occasion=heard_at.isoformat(),
                params=params,
            )
    return len(silent)
