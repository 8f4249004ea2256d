"""What the role of an account allows: closed by default."""

from __future__ import annotations

from shuqiao.rules.regulation import Regulation, Role


def may(role: Role | None, action: str) -> bool:
    """Whether a role allows an action; no role allows nothing. Source: guangzhou-2016 art. 8(2), SEC-03."""
    return role is not None and action in role.capabilities


def capabilities(role_key: str, regulation: Regulation) -> frozenset[str]:
    """All that the role with this key allows; an unknown role allows nothing."""
    role = regulation.role(role_key)
    return role.capabilities if role is not None else frozenset()
