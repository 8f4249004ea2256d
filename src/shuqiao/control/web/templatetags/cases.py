"""Where the page of a case is, by its number."""

from django import template
from django.urls import reverse

register = template.Library()

PAGES = {
    "R": "request_case",
    "G": "grant",
    "D": "dispute",
    "S": "review",
    "O": "outside_case",
    "P": "publication_case",
    "Z": "project",
    "U": "upkeep_change",
    "V": "data_change",
    "Q": "claim",
    "K": "collection",
    "F": "form_check",
    "W": "alarm",
    "L": "recall",
}
"""The first letter of a number tells the kind of case. Source: `rules.ids`."""


@register.filter
def case_page(number: str) -> str:
    """Give the address of a case's page; nothing for what has none."""
    name = PAGES.get(number[:1])
    return reverse(name, args=[number]) if name and number[1:2] == "-" else ""
