"""The command `shuqiao` knows what carries each of its commands out."""

import argparse
from collections.abc import Iterator
from importlib import import_module

from shuqiao.cli import _COMMANDS, _parser


def choices(parser: argparse.ArgumentParser) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """The commands, or the steps of one."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            yield from action.choices.items()


def test_every_command_has_what_carries_it_out() -> None:
    named = dict(choices(_parser()))
    assert set(named) == {name.partition(" ")[0] for name in _COMMANDS}
    steps = {f"{name} {step}" for name, parser in named.items() for step, _ in choices(parser)}
    assert {name for name in _COMMANDS if " " in name} <= steps
    for name in {*named, *steps}:
        module, _, function = _COMMANDS.get(name, _COMMANDS.get(name.partition(" ")[0], "")).partition(":")
        assert callable(getattr(import_module(f"shuqiao.{module}"), function)), name
