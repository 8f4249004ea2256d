"""The city's synonyms as the rules want them, and the regulation a department works under."""

from collections.abc import Mapping
from functools import cache

from shuqiao.control.catalogue.synonyms import synonym_file
from shuqiao.control.regulations.current import data_lists
from shuqiao.rules.datum_names import Synonyms
from shuqiao.rules.regulation import Regulation


@cache
def synonyms() -> Synonyms:
    """The groups of `standards/synonyms.yaml`, in their written form."""
    file = synonym_file()
    return Synonyms.of_groups(file.same, file.endings, file.asked_of)


@cache
def _base_lists(regulation_id: str) -> Mapping[str, frozenset[str]]:
    return {one.key: frozenset(item.field for item in one.items) for one in data_lists(regulation_id)}


def is_base_list(list_key: str, rules: Regulation) -> bool:
    """Whether an entry was built from a base list of the regulation's data."""
    return list_key in _base_lists(rules.id)


def assigned_fields(list_key: str, rules: Regulation) -> frozenset[str]:
    """The items that the regulation's own list assigns to those who keep it; none for other entries."""
    return _base_lists(rules.id).get(list_key, frozenset())
