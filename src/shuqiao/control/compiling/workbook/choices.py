"""The words that may be chosen in a workbook: as drop-downs show them, and as cells are read."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from shuqiao.control.catalogue.vocabulary import vocabulary
from shuqiao.control.compiling.fields import ITEM_KIND_WORDS
from shuqiao.control.organisations.models import Department, Duty
from shuqiao.control.texts import Text
from shuqiao.rules.regulation import Regulation
from shuqiao.rules.sharing import RANKS

_MAX_DUTY_CHARS = 60


@dataclass(frozen=True)
class Choices:
    """Every list of a workbook by its name: keys with their words, in the order in which they are offered."""

    lists: Mapping[str, Mapping[str, Text]]

    @cached_property
    def _keys(self) -> Mapping[str, Mapping[str, str]]:
        return {name: _readings(words) for name, words in self.lists.items()}

    def shown(self, words: str, key: str) -> str:
        """What a cell says for a key; one that is not known says itself."""
        found = self.lists[words].get(key)
        return found.zh if found else key

    def key(self, words: str, said: str) -> str | None:
        """The key that a cell means, by its Chinese or English words or the key itself; None if none."""
        return self._keys[words].get(said.strip().casefold())


def read_choices(department: str, regulation: Regulation) -> Choices:
    """Read the lists for one department: three queries, however many rows follow."""
    words = vocabulary()
    types = regulation.share_types
    return Choices(
        {
            **{name: getattr(words, name) for name in words.keys()},  # noqa: SIM118 - not a mapping
            "types": {one.key: Text(one.zh, one.en) for one in types.types},
            "relations": {one.key: Text(one.zh, one.en) for one in types.relations},
            "ranks": {key: Text(one.zh, one.en) for key, one in RANKS.items()},
            "kinds": ITEM_KIND_WORDS,
            "departments": _departments(),
            "duties": _duties(department),
        }
    )


def _departments() -> dict[str, Text]:
    rows = list(Department.objects.order_by("code").values_list("code", "name_zh", "name_en"))
    names = [name for _, name, _ in rows]
    twice = {name for name in names if names.count(name) > 1} if len(set(names)) < len(names) else set()
    # Where two bodies have one name, each is told by its code.
    return {
        code: Text(f"{name_zh} {code}" if name_zh in twice else name_zh, name_en)
        for code, name_zh, name_en in rows
    }


def _duties(department: str) -> dict[str, Text]:
    rows = Duty.objects.filter(department_id=department).values_list("number", "text_zh", "text_en")
    return {
        str(number): Text(f"{number} {zh[:_MAX_DUTY_CHARS]}", f"{number} {en[:_MAX_DUTY_CHARS]}")
        for number, zh, en in rows
    }


def _readings(words: Mapping[str, Text]) -> dict[str, str]:
    """How each key may be written: by itself, or by words that mean no other key."""
    found: dict[str, str | None] = {}
    for key, text in words.items():
        for said in {text.zh.strip().casefold(), text.en.strip().casefold()}:
            found[said] = None if found.get(said, key) != key else key
    readings = {said: key for said, key in found.items() if key is not None}
    return readings | {key.casefold(): key for key in words}
