"""Words for the codes of the log, on the pages of verification and audit."""

from django import template

from shuqiao.control.operations.labels import outcome_label

register = template.Library()


@register.simple_tag
def outcome(code: str) -> str:
    """Say how a call or decision ended; a code without words of its own shows itself."""
    return str(outcome_label(code))
