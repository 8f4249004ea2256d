"""What others ask of the standards: data elements, code lists, and which element a name most likely means."""

import re
import unicodedata
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from pypinyin import Style, lazy_pinyin

from shuqiao.control.standards.contents import Content, Kind, content_from
from shuqiao.control.standards.models import Standard
from shuqiao.control.texts import Text

_TEXT, _NUMBER, _DAY = frozenset("CM"), frozenset("NYBIF"), frozenset("DT")
_LETTERS = {"string": "C", "code": "C", "text": "M", "date": "D", "datetime": "T", "image": "G"}
_BRACKETS = re.compile(r"\([^()]*\)")
_SEPARATORS = re.compile(r"[\s_\-·.、,/]+")
_MIN_INITIALS = 4
_MIN_SUFFIX = 2


@dataclass(frozen=True)
class Element:
    """A data element in force; `version` is that of the standard."""

    key: str
    version: int
    content: Content


def contents(kind: Kind) -> Mapping[str, Content]:
    """Every standard of a kind that is in use, by key; one query."""
    rows = Standard.objects.filter(kind=kind.value, ended=False).order_by("key")
    return {key: content_from(stored) for key, stored in rows.values_list("key", "content")}


def elements() -> Mapping[str, Element]:
    """Every data element in use, by key; one query."""
    rows = Standard.objects.filter(kind=Kind.ELEMENT.value, ended=False).order_by("key")
    return {
        key: Element(key, version, content_from(stored))
        for key, version, stored in rows.values_list("key", "version", "content")
    }


def code_lists() -> Mapping[str, Mapping[str, str]]:
    """Every code list in use: its values with their Chinese meaning, by key."""
    found = contents(Kind.CODE_LIST)
    return {key: {code.value: code.zh for code in content.codes} for key, content in found.items()}


def standard_names(keys: Collection[str]) -> Mapping[str, Text]:
    """Name these elements for a page: by the national standard they follow, where they do; one query."""
    rows = Standard.objects.filter(kind=Kind.ELEMENT.value, key__in=keys)
    return {
        key: Text(national, national) if national else Text("数据元", "Data element")
        for key, national in rows.values_list("key", "content__national")
    }


def guess(name: str, data_type: str = "") -> str | None:
    """Tell which element a name most likely means; for many names keep one `element_index()`."""
    return element_index().guess(name, data_type)


def element_index() -> "ElementIndex":
    """Read the elements once, to guess many names."""
    return ElementIndex({key: element.content for key, element in elements().items()})


def plain(name: str) -> str:
    """Bring a name into the form in which names are compared."""
    return _SEPARATORS.sub("", unicodedata.normalize("NFKC", name)).casefold()


@dataclass(frozen=True)
class ElementIndex:
    """The elements by the names under which they occur."""

    elements: Mapping[str, Content]

    @cached_property
    def names(self) -> Mapping[str, tuple[str, ...]]:
        """Keys by compared name, the more telling kind of name first: own, synonym, column, initials."""
        found: dict[str, dict[str, None]] = {}
        for own in (_own_names, _synonyms, _columns, _initials):
            for key, content in self.elements.items():
                for name in own(key, content):
                    if name:
                        found.setdefault(plain(name), {})[key] = None
        return {name: tuple(keys) for name, keys in found.items()}

    @cached_property
    def endings(self) -> Mapping[str, tuple[str, ...]]:
        """Keys by Chinese name, for names that only end so: 原登记机关 is a 登记机关."""
        return {
            name: keys for name, keys in self.names.items() if len(name) >= _MIN_SUFFIX and not name.isascii()
        }

    def guess(self, name: str, data_type: str = "") -> str | None:
        """Tell which element a name most likely means: the whole name, without brackets, then its end.

        `data_type` is a letter of the metadata or a type of the platform; an element that can't be of it is
        passed over. None where nothing fits.
        """
        whole = plain(name)
        letter = _LETTERS.get(data_type, data_type)
        for form in dict.fromkeys((whole, plain(_BRACKETS.sub("", unicodedata.normalize("NFKC", name))))):
            for key in self.names.get(form, ()):
                if self._fits(key, letter):
                    return key
        for at in range(1, len(whole) - _MIN_SUFFIX + 1):
            for key in self.endings.get(whole[at:], ()):
                if self._fits(key, letter):
                    return key
        return None

    def named(self, names: Iterable[str], data_type: str = "") -> tuple[str, ...]:
        """Every element that one of these whole names means and that can be of the type, likeliest first."""
        letter = _LETTERS.get(data_type, data_type)
        found = (key for name in names for key in self.names.get(plain(name), ()))
        return tuple(key for key in dict.fromkeys(found) if self._fits(key, letter))

    def _fits(self, key: str, letter: str) -> bool:
        content = self.elements[key]
        own = content.data_type
        if not letter or not own or letter == own:
            return True
        if letter in _TEXT:
            # Databases keep dates and numbers in columns of characters, but no pictures.
            return own != "G"
        if letter in _NUMBER:
            return own in _NUMBER or own == "L" or bool(content.code_list)
        return letter in _DAY and own in _DAY


@dataclass(frozen=True)
class Binder:
    """Binds the items of the law's lists to standards: by their names, type and codes."""

    index: ElementIndex
    lists: Mapping[str, Mapping[str, str]]

    def bind(self, names: Iterable[str], data_type: str, codes: Collection[str]) -> tuple[str, str]:
        """Return the keys of element and code list, empty where there is none.

        An item with codes takes an element whose list holds all of them; codes may be fewer than the list's.
        """
        for key in self.index.named(names, data_type):
            code_list = self.index.elements[key].code_list
            if not codes:
                return key, code_list
            if set(codes) <= self.lists.get(code_list, {}).keys():
                return key, code_list
        return "", ""


def binder() -> Binder:
    """Read elements and code lists once, to bind many items."""
    return Binder(element_index(), code_lists())


def _own_names(key: str, content: Content) -> tuple[str, ...]:
    return (content.zh, content.en, key)


def _synonyms(_key: str, content: Content) -> tuple[str, ...]:
    return content.synonyms


def _columns(_key: str, content: Content) -> tuple[str, ...]:
    return content.fields


def _initials(_key: str, content: Content) -> tuple[str, ...]:
    """The initials of a Chinese name, as columns are often called: 行政区划代码 is xzqhdm."""
    made = "".join(lazy_pinyin(plain(content.zh), style=Style.FIRST_LETTER, errors="ignore"))
    return (made,) if len(made) >= _MIN_INITIALS else ()
