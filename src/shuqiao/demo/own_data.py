"""What a sample department's technician does for data that stay there: confirms who may ask its node.

A node answers nobody whom its own department has not confirmed. In the sample city the first calls, after
which the sample grants wait, and the technician's word about them are made here, as people make them by hand.
"""

import time
from collections.abc import Collection
from pathlib import Path
from typing import Final

from shuqiao.client.call import read_credentials
from shuqiao.client.plane import PlaneAnswer, PlaneClient, PlaneUnreachable
from shuqiao.control.operations.sample import HELD_APPLICATIONS, HELD_KEY, HELD_VERIFIED
from shuqiao.demo.home import Home
from shuqiao.edge.held.store import Store
from shuqiao.rules.identifiers import citizen_check_digit
from shuqiao.rules.ids import resource_id
from shuqiao.security import keys
from shuqiao.security.http_signatures import CallContext, key_signer
from shuqiao.wire.node_home import NodeFiles

PATIENCE_S: Final = 30.0
_PAUSE_S: Final = 0.3
_NOT_CONFIRMED: Final = "grant_not_confirmed"
_FIRST: Final = "44010019000101001"
_NOBODY: Final = _FIRST + citizen_check_digit(_FIRST)
"""Stands in no table; a node asks for its department's word before it looks anyway."""


class NotConfirmed(Exception):
    """The node did not hear of the sample grants in time; the message is what the plane said last."""


def confirm_sample_grants(home: Home, department: str) -> None:
    """Let each sample system call once in each mode, and confirm what then waits under its key.

    Once for a home. Raises `NotConfirmed`.
    """
    done = home.root / "demo" / "held.confirmed"
    if done.exists():
        return
    resource = resource_id(department.partition("-")[0], HELD_KEY)
    deadline = time.monotonic() + PATIENCE_S
    known = [_make_wait(home, application, resource, deadline) for application in HELD_APPLICATIONS]
    _confirm(NodeFiles(home.root / "nodes" / department).held, known)
    done.touch()


def _make_wait(home: Home, application: str, resource: str, deadline: float) -> str:
    """Ask as one of the systems until the node has heard of it; return the id of its key."""
    # The systems' keys lie with the demonstration, those of the pages with the platform.
    own = home.root / "demo" / "keys" / f"{application}.key"
    portal = home.secrets / "portal" / f"{application}.key"
    signer = key_signer(keys.load_signing_key(own if own.exists() else portal))
    credentials = read_credentials(home.root, HELD_APPLICATIONS[0])
    with PlaneClient(
        credentials.plane_url, signer, promise_keys=credentials.promise_keys, language="en"
    ) as client:
        for mode in ("verify", "query"):
            said = _ask(client, resource, mode)
            while said != _NOT_CONFIRMED:
                if time.monotonic() > deadline:
                    raise NotConfirmed(said)
                time.sleep(_PAUSE_S)
                said = _ask(client, resource, mode)
    return signer.key_id


def _ask(client: PlaneClient, resource: str, mode: str) -> str:
    """Ask about nobody; return the code of the refusal."""
    context, case = CallContext(), "SL-0"
    try:
        answer: PlaneAnswer = (
            client.verify(resource, _NOBODY, dict.fromkeys(HELD_VERIFIED, "-"), case=case, context=context)
            if mode == "verify"
            else client.query(resource, _NOBODY, [], case=case, context=context)
        )
    except PlaneUnreachable as error:
        return str(error)
    return answer.code or "answered"


def _confirm(file: Path, known: Collection[str]) -> None:
    """Confirm every document that waits under a key which the technician knows."""
    store = Store(file)
    try:
        for one in store.permissions():
            if one.state == "waiting" and one.key in known:
                store.decide(one.grant, one.key, one.digest.hex(), "confirmed")
    finally:
        store.close()
