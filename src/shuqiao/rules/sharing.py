"""Share types on one scale, whatever a city calls them.

A regulation that names none gives every first request the full procedure.
Source: guangzhou-2016 art. 35(1) (names none); guangzhou-2019-165 art. 9; xiamen-2015 art. 4; shenyang-2016
art. 10.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from shuqiao.rules.regulation import Regulation


class Openness(IntEnum):
    """From what nobody gets to what everybody entitled gets at once."""

    NOT_SHARED = 0
    ON_CONDITIONS = 1
    TO_ALL = 2


@dataclass(frozen=True, slots=True)
class Way:
    """How an entry of a share type is obtained, with the article."""

    may_be_requested: bool
    needs_decision: bool
    article: str | None


def way_of_sharing(share_type: str | None, regulation: Regulation) -> Way:
    """What a requester may do; a share type the regulation does not know can't be requested at all."""
    if share_type is None and not regulation.share_types:
        return Way(True, True, regulation.cite(regulation.deadline("reply").article))
    named = next((named for named in regulation.share_types if named.key == share_type), None)
    if named is None:
        return Way(False, True, None)
    openness = Openness(named.openness)
    article = regulation.cite(named.article)
    return Way(openness is not Openness.NOT_SHARED, openness is not Openness.TO_ALL, article)


def is_stricter(left: str, right: str, regulation: Regulation) -> bool:
    """Whether share type `left` gives less than `right`; KeyError for a type the regulation does not name."""
    scale = {named.key: named.openness for named in regulation.share_types}
    return scale[left] < scale[right]
