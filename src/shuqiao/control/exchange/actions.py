"""Asking a node to rest, to go on, to load in full or to let removals through.

It follows within seconds of its next word.
"""

from django.db import connection, transaction

from shuqiao.control import clock
from shuqiao.control.accounts.access import NotFound, Viewer
from shuqiao.control.exchange.access import may_order, scope_of
from shuqiao.control.exchange.readings import read_nodes

ORDERS = ("pause", "resume", "reload", "let-through")


@transaction.atomic
def order_node(viewer: Viewer, department: str, resource: str, order: str) -> bool:
    """Ask, with an entry; False where it is so already. Raises `NotFound` for who may not ask.

    Source: our choice, decision "the hub knows its nodes".
    """
    scope = scope_of(viewer)
    if scope not in (None, department) or not may_order(viewer, department) or order not in ORDERS:
        raise NotFound
    told = {line.resource: line for node in read_nodes(department) if node.state for line in node.state.lines}
    if resource not in told or (order == "let-through" and told[resource].state != "held_back"):
        raise NotFound
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT exchange.order_node(%s, %s, %s, %s, %s)",
            (department, resource, order, f"account:{viewer.username}", clock.now()),
        )
        return bool(cursor.fetchone()[0])
