"""Whose rules a case of the catalogue follows: the city's, or those of the department's district.

A district compiles its own catalogue by its own chain, on the same platform and by the same standard; an
entry of its catalogue may name the city's entry it belongs to. Source: guangzhou-2016 art. 32; shenyang-2016
art. 13(2); guangzhou-2019-165 art. 11(1); haizhu-draft art. 6.
"""

from django.conf import settings

from shuqiao.control.catalogue.models import Resource
from shuqiao.control.regulations.current import named
from shuqiao.rules.entries import Entry
from shuqiao.rules.entry_faults import EntryFault
from shuqiao.rules.regulation import SETTING, Regulation


def region_of(department: str) -> str:
    """The region at the head of a department's code."""
    return department[:6]


def rules_for(department: str) -> Regulation:
    """The regulation under which a department compiles: its district's where one is set, else the city's."""
    config = settings.CONFIG
    return named(config.districts.get(region_of(department), config.regulation))


def is_district(department: str) -> bool:
    """Whether a department is not of the city's own region."""
    return region_of(department) != named(settings.CONFIG.regulation).region


def link_faults(entry: Entry, department: str) -> tuple[EntryFault, ...]:
    """What is wrong with the link to the city's catalogue: only a district's entry has one, to a city's."""
    if not entry.city_entry:
        return ()
    rules = rules_for(department)
    article = rules.cite(rules.citations.get("catalogue_entry", SETTING))
    if not is_district(department):
        zh, en = "只有区级目录条目可关联市级条目", "Only an entry of a district is linked to one of the city"
        return (EntryFault("city_entry", "city_entry_refused", zh, en, article),)
    city = named(settings.CONFIG.regulation).region
    region = Resource.objects.filter(id=entry.city_entry).values_list("region", flat=True).first()
    if region not in (None, city):
        zh, en = "所选条目不在市级目录中", "The entry chosen is not of the city's catalogue"
        return (EntryFault("city_entry", "city_entry_refused", zh, en, article),)
    return ()
