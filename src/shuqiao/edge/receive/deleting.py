"""Signing for what was deleted of a subscription, once its platform has called it back.

The receipt says the same however often it is made: it is read from the position, which the deletion wrote
in its own transaction.
"""

from __future__ import annotations

from datetime import datetime

from shuqiao.edge.receive.feed import Feed
from shuqiao.edge.receive.own import Position
from shuqiao.edge.receive.target import DELETED, SIGNED, Target
from shuqiao.security.keys import SigningKey
from shuqiao.wire.recalls import Deleted, Deletion, Recall, sign_deletion, write_deletion


def deletion_of(recall: Recall, position: Position) -> Deletion:
    """The receipt for everything a recall of a feed names, by what the position says went."""
    gone = [
        Deleted(
            way=held.way,
            id=held.id,
            rows=position.gone,
            dead=position.dead,
            part=position.part,
            up_to=position.up_to,
            manifest_digest=position.manifest_digest,
        )
        for held in recall.held
    ]
    return Deletion(recall.number, datetime.fromisoformat(position.applied_at), tuple(gone))


def sign_off(feed: Feed, target: Target, position: Position, key: SigningKey) -> Position:
    """Bring the receipt where something was deleted and is called back; returns how it stands then."""
    if position.state != DELETED or not position.feed:
        return position
    recall = feed.recall_of(position.feed)
    if recall is None:
        return position
    statement = write_deletion(deletion_of(recall, position))
    feed.sign_for(recall.number, statement, sign_deletion(statement, key))
    return target.mark(SIGNED, position)
