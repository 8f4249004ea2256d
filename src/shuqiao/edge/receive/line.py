"""The line of one subscription: wait for the next part, apply it, say what became of it, and go on.

It works in a thread of its own, for the drivers block. Whatever state it is killed in, the target says how
far it was: it goes on there.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import httpx

from shuqiao.client.fetching import CopyBroken, CopyRefused
from shuqiao.client.plane import PlaneUnreachable, PromiseBroken
from shuqiao.edge.disk import is_full
from shuqiao.edge.receive.deleting import sign_off
from shuqiao.edge.receive.feed import Feed, FeedEnded, OutOfStep, SealedOtherwise
from shuqiao.edge.receive.own import Position
from shuqiao.edge.receive.reading import Subscription
from shuqiao.edge.receive.sessions import TargetError, TargetFull, TargetWrong
from shuqiao.edge.receive.target import (
    ENDED,
    ENDING,
    RESTART,
    PositionMoved,
    Target,
    TooManyDead,
    open_target,
)
from shuqiao.rules.errors import Overloaded, Unavailable
from shuqiao.security.keys import KeyRefusedError, SigningKey
from shuqiao.wire.bulk import BulkState

_log = logging.getLogger("shuqiao.edge")

WAIT_S = 25.0
FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 30.0
_AWAY_PAUSE_S = 8.0
"""The longest pause while hub or target are away: so much later than they at most, it goes on."""

SLOW_PAUSE_S = 600.0
"""The pause after what only a person can mend."""

_LEAVE_S = 3.0
_PASSING = (Unavailable.code, Overloaded.code)
"""What the plane says while a part of the platform is away: no word about the grant."""

_RESTS = "feed_rests"


class _FeedWrong(Exception):
    """The application's key, the platform's keys or its authority can't be used."""


@dataclass(slots=True)
class LineState:
    """What the status shows; written by the line's thread, read by others.

    `waits_since` is when the part was made that waits to be applied.
    """

    state: str = "starting"
    fault: str = ""
    position: Position = field(default_factory=Position)
    waits_since: datetime | None = None
    dead: int = 0


class ReceiveLine:
    """Applies one subscription until told to stop."""

    def __init__(self, subscription: Subscription, positions: Path, key: SigningKey) -> None:
        """Keep the parts; nothing is opened yet. `key` is the node's, which signs for what is deleted."""
        self.subscription = subscription
        self._key = key
        self.state = LineState()
        self._positions = positions
        self._stop = threading.Event()
        self._pause_s = FIRST_PAUSE_S

    async def run(self) -> None:
        """Work until cancelled."""
        loop, ended = asyncio.get_running_loop(), asyncio.Event()

        def work() -> None:
            try:
                self._work()
            finally:
                with suppress(RuntimeError):
                    loop.call_soon_threadsafe(ended.set)

        # A daemon: a driver that waits for a dead network must not hold up the node's end.
        thread = threading.Thread(target=work, name=f"receive-{self.subscription.name}", daemon=True)
        thread.start()
        try:
            await ended.wait()
            raise RuntimeError(f"the line of {self.subscription.name} has ended")
        finally:
            self._stop.set()
            await asyncio.to_thread(thread.join, _LEAVE_S)

    def _work(self) -> None:
        while not self._stop.is_set():
            pause_s = self._once()
            self._stop.wait(pause_s)

    def _once(self) -> float:
        """Work until something fails; returns how long to rest then."""
        try:
            self._follow()
        except (TargetWrong, _FeedWrong) as error:
            return self._rest("settings_wrong", str(error), SLOW_PAUSE_S)
        except TargetFull as error:
            return self._rest("disk_full", str(error))
        except TargetError as error:
            return self._rest("target_away", str(error))
        except TooManyDead as error:
            return self._rest("too_many_dead", f"{error.reason} {error.detail}", SLOW_PAUSE_S)
        except (CopyBroken, PromiseBroken) as error:
            return self._rest("untrusted", str(error), LONGEST_PAUSE_S)
        except CopyRefused as error:
            if error.code in _PASSING:
                return self._rest("hub_away", error.code)
            state = ENDED if error.code == _RESTS else "refused"
            return self._rest(state, error.code, LONGEST_PAUSE_S)
        except SealedOtherwise as error:
            return self._rest("sealed_otherwise", str(error), LONGEST_PAUSE_S)
        except OutOfStep as error:
            return self._rest("out_of_step", error.code, LONGEST_PAUSE_S)
        except PositionMoved:
            return self._rest("starting", "", FIRST_PAUSE_S)
        except (PlaneUnreachable, httpx.HTTPError) as error:
            return self._rest("hub_away", type(error).__name__)
        except Exception as error:
            if is_full(error):
                # The node's own disk: how far it is may stand in a file there.
                return self._rest("disk_full", type(error).__name__)
            # The boundary of the line: one line's fault must not end the others. Its text may quote a row.
            _log.error(
                "receive_faulty subscription=%s error=%s", self.subscription.name, type(error).__name__
            )
            return self._rest("faulty", type(error).__name__, LONGEST_PAUSE_S)
        return 0.0

    def _rest(self, state: str, fault: str, pause_s: float | None = None) -> float:
        if (state, fault) != (self.state.state, self.state.fault):
            _log.warning("receive_%s subscription=%s %s", state, self.subscription.name, fault)
        self.state.state, self.state.fault = state, fault
        if pause_s is not None:
            return pause_s
        pause_s = self._pause_s
        self._pause_s = min(self._pause_s * 2, _AWAY_PAUSE_S)
        return pause_s

    def _follow(self) -> None:
        target = open_target(self.subscription, self._positions)
        try:
            try:
                feed = Feed(self.subscription)
            except (OSError, ValueError, KeyError, KeyRefusedError) as error:
                raise _FeedWrong(f"{self.subscription.path}: {type(error).__name__}: {error}") from None
            try:
                self._parts(feed, target)
            finally:
                feed.close()
        finally:
            target.close()

    def _parts(self, feed: Feed, target: Target) -> None:
        """Apply part after part, or do what a command or a recall wants."""
        position, wait_s = self._look(target), 0.0
        while not self._stop.is_set():
            if position.state:
                position = self._wanted(feed, target, position)
                if position.state:
                    self._stop.wait(LONGEST_PAUSE_S)
                    return
            try:
                position = self._step(feed, target, position, wait_s)
            except CopyRefused:
                if not self._recalled(feed, target, position):
                    raise
                position = self._look(target)
            else:
                wait_s = WAIT_S
                self._pause_s = FIRST_PAUSE_S
                self.state.waits_since = None
                self.state.state, self.state.fault = "up", ""

    def _step(self, feed: Feed, target: Target, position: Position, wait_s: float) -> Position:
        """Wait for the next part and apply it; returns how far the subscription is then."""
        if not position.feed:
            target.begin_feed(feed.subscribe(), position)
            position = self._look(target)
        try:
            found = feed.look(position.feed, position.part, wait_s)
        except FeedEnded:
            if self._recalled(feed, target, position):
                return self._look(target)
            new = feed.subscribe()
            if new == position.feed:
                raise OutOfStep("feed_not_given") from None
            target.begin_feed(new, position)
            return self._look(target)
        last = target.last(position)
        if last is not None and found.taken_number < last.number:
            # The last run ended between its commit and this.
            feed.take(position.feed, last)
        if found.next is not None:
            return self._apply(feed, target, found.next, position)
        # Commands may have worked on what lies apart, or deleted what was received.
        return self._look(target)

    def _wanted(self, feed: Feed, target: Target, position: Position) -> Position:
        """Do what the position says is wanted; returns how it stands then.

        Each step may be done again: whoever is killed between two of them goes on with the first.
        """
        if position.state == RESTART:
            feed.end(position.feed or feed.there())
            target.begin_feed(feed.subscribe(), position)
        elif position.state == ENDING:
            if position.feed:
                feed.end(position.feed, rests=True)
            target.mark(ENDED, position)
        else:
            sign_off(feed, target, position, self._key)
        position = self._look(target)
        self.state.waits_since = None
        if position.state:
            self.state.state, self.state.fault = position.state, ""
        return position

    def _recalled(self, feed: Feed, target: Target, position: Position) -> bool:
        """Tell whether what was received is called back; deletes it where the file says so, else rests."""
        recall = feed.recall_of(position.feed) if position.feed else None
        if recall is None:
            return False
        if self.subscription.deletes_recalled:
            target.delete()
            return True
        self._rest("recalled", f"{recall.number} {recall.due_on.isoformat()}", LONGEST_PAUSE_S)
        self._stop.wait(LONGEST_PAUSE_S)
        return True

    def _apply(self, feed: Feed, target: Target, state: BulkState, position: Position) -> Position:
        """Apply the next part and say what became of it; returns how far the subscription is then."""
        part = feed.checked(state, position.feed, position.part, position.up_to)
        self.state.waits_since = part.manifest.at
        applied = target.apply(part, feed.batches(part), position)
        feed.take(position.feed, applied)
        return self._look(target)

    def _look(self, target: Target) -> Position:
        self.state.position, self.state.dead = target.position(), target.count_dead()
        return self.state.position

    def lag_s(self) -> float:
        """How old the part is that waits to be applied; 0 where none does."""
        since = self.state.waits_since
        return 0.0 if since is None else round(max(0.0, time.time() - since.astimezone(UTC).timestamp()), 3)
