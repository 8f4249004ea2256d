"""Reading the lock of this project's dependencies, and which part of it an extra needs."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires

_PINNED = re.compile(
    r"(?m)^([A-Za-z0-9][A-Za-z0-9._-]*)==([^\s\\;]+)((?:[^\n]*\\\n\s+--hash=sha256:[0-9a-f]{64})+)"
)
_DIGEST = re.compile(r"--hash=sha256:([0-9a-f]{64})")
_REQUIREMENT = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)\s*(?:\[([^\]]*)\])?")
_EXTRA = re.compile(r"extra\s*==\s*['\"]([^'\"]+)['\"]")

Needs = Callable[[str], Iterable[str]]


@dataclass(frozen=True)
class Locked:
    """One distribution of the lock: its version, and the SHA-256 of each file it may come as."""

    name: str
    version: str
    digests: tuple[str, ...]

    def line(self) -> str:
        """As it stands in a file of requirements."""
        return " ".join((f"{self.name}=={self.version}", *(f"--hash=sha256:{one}" for one in self.digests)))


def normal(name: str) -> str:
    """The one spelling of a distribution's name."""
    return re.sub(r"[-_.]+", "-", name).lower()


def read_lock(text: str) -> dict[str, Locked]:
    """Return what is locked, by name."""
    return {
        normal(name): Locked(normal(name), version, tuple(_DIGEST.findall(rest)))
        for name, version, rest in _PINNED.findall(text)
    }


def needs_here(name: str) -> list[str]:
    """What an installed distribution says it needs."""
    try:
        return requires(name) or []
    except PackageNotFoundError:
        return []


def closure(
    wanted: Iterable[str], locked: Mapping[str, Locked], needs: Needs = needs_here
) -> tuple[Locked, ...]:
    """All that some requirements need out of the lock; what isn't locked is for other machines than ours."""
    waiting, seen = [split(one) for one in wanted], set()
    while waiting:
        name, extras = waiting.pop()
        for extra in ("", *extras):
            if (name, extra) in seen or name not in locked:
                continue
            seen.add((name, extra))
            for one in needs(name):
                condition = _EXTRA.search(one)
                if (condition[1] if condition else "") == extra:
                    waiting.append(split(one))
    return tuple(locked[name] for name in sorted({name for name, _ in seen}))


def split(requirement: str) -> tuple[str, tuple[str, ...]]:
    """Name and extras of a requirement."""
    found = _REQUIREMENT.match(requirement)
    if found is None:
        raise ValueError(f"not a requirement: {requirement}")
    return normal(found[1]), tuple(one.strip() for one in (found[2] or "").split(",") if one.strip())
