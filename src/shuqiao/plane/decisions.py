"""Decisions that many calls share: an application mostly asks the same of the same list.

Remembered as long as the snapshot and the legal day they were made on. A refusal is decided anew each time.
"""

from __future__ import annotations

from shuqiao.plane.calls import Call, CallRequest, Granted, decide, fields_of
from shuqiao.plane.state import Snapshot
from shuqiao.rules.exchange import legal_day

MAX_KNOWN = 4096


class Decisions:
    """What was decided as of one snapshot; another snapshot makes it forget everything."""

    def __init__(self) -> None:
        """Begin with none."""
        self._snapshot: Snapshot | None = None
        self._known: dict[tuple[object, ...], Granted] = {}

    def granted(self, call: Call, snapshot: Snapshot) -> Granted:
        """As `decide`."""
        if call.request is None:
            return decide(call, snapshot)
        if snapshot is not self._snapshot:
            self._snapshot = snapshot
            self._known.clear()
        asked = _asked(call, call.request)
        granted = self._known.get(asked)
        if granted is None:
            granted = decide(call, snapshot)
            if len(self._known) >= MAX_KNOWN:
                self._known.clear()
            self._known[asked] = granted
        return granted


def _asked(call: Call, request: CallRequest) -> tuple[object, ...]:
    """Name everything of a call that `decide` looks at."""
    application, context, proof = call.application, call.context, call.proof
    return (
        application.id,
        application.key_id,
        call.resource_id,
        call.mode,
        fields_of(request),
        context.grant,
        context.purpose,
        legal_day(call.at),
        proof is None or proof.session is not None,
        not request.case.strip(),
    )
