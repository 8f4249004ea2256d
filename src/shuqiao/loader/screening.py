"""The rules of screening that the office has in force, read every few seconds, for batches and for nodes."""

from __future__ import annotations

import logging
import time

import asyncpg

from shuqiao.loader import ledger
from shuqiao.rules.screening import Screen
from shuqiao.wire.screening import RulesRefused, decode_rules, shipped_rules

_log = logging.getLogger("shuqiao.loader")
_FRESH_S = 2.0


class RulesInForce:
    """What every batch is looked through by; the rules that are shipped until the office says others."""

    def __init__(self) -> None:
        """Nothing is read yet."""
        self._screen = Screen(shipped_rules())
        self._text: bytes | None = None
        self._read_at = float("-inf")

    async def screen(self, pool: asyncpg.Pool) -> Screen:
        """Return the rules as they were at most a moment ago."""
        if time.monotonic() - self._read_at > _FRESH_S:
            text = await ledger.rules_in_force(pool)
            if text != self._text:
                self._follow(text)
            self._read_at = time.monotonic()
        return self._screen

    def _follow(self, text: bytes | None) -> None:
        try:
            self._screen = Screen(shipped_rules() if text is None else decode_rules(text))
        except RulesRefused as error:
            # Written by a later version: the last ones that could be read stay in force.
            _log.error("screening_rules_unreadable %s", error)
        self._text = text
