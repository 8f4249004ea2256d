"""Asking a node to rest, to go on, to load in full or to let removals through.

It follows within seconds of its next word.
"""

from django.db import connection, transaction

from shuqiao.control import clock
from shuqiao.control.accounts.access import Fault, FormRefused, NotFound, Viewer
from shuqiao.control.exchange.access import may_order, scope_of
from shuqiao.control.exchange.readings import read_nodes
from shuqiao.control.texts import Text

ORDERS = ("pause", "resume", "reload", "let-through")


@transaction.atomic
def order_node(viewer: Viewer, department: str, resource: str, order: str, shown: int | None = None) -> bool:
    """Ask, with an entry; False where it is so already. Raises `NotFound` for who may not ask.

    Letting removals through is a word about the number that was `shown`: raises `FormRefused` where the node
    holds another number by now. Source: our choice, decisions 37 and 49.
    """
    scope = scope_of(viewer)
    if scope not in (None, department) or not may_order(viewer, department) or order not in ORDERS:
        raise NotFound
    told = {line.resource: line for node in read_nodes(department) if node.state for line in node.state.lines}
    if resource not in told or (order == "let-through" and told[resource].state != "held_back"):
        raise NotFound
    if order != "let-through":
        shown = None
    elif shown != told[resource].held_back:
        words = Text(
            f"现在待移出的是 {told[resource].held_back} 行，与您看到的不同；请看过后重新确认",
            f"{told[resource].held_back} rows wait now, another number than you saw: look, then confirm",
        )
        raise FormRefused((Fault("rows", "number_changed", words),))
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT exchange.order_node(%s, %s, %s, %s, %s, %s)",
            (department, resource, order, f"account:{viewer.username}", clock.now(), shown),
        )
        return bool(cursor.fetchone()[0])
