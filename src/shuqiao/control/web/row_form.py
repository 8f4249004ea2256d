"""Reading the editor of row conditions from a form: three fields a line, told apart by their number."""

from django.http import QueryDict

from shuqiao.control.catalogue.models import Item
from shuqiao.control.requests.row_editor import RowLine, read_lines
from shuqiao.rules.rows import MAX_CONDITIONS, Row

MAX_TEXT_CHARS = 4000


def typed_lines(post: QueryDict) -> tuple[RowLine, ...]:
    """The lines of a form as they were typed."""
    return tuple(
        RowLine(
            post.get(f"row:{at}:field", "")[:63],
            post.get(f"row:{at}:op", "eq")[:5],
            post.get(f"row:{at}:text", "")[:MAX_TEXT_CHARS],
        )
        for at in range(MAX_CONDITIONS + 1)
        if post.get(f"row:{at}:field")
    )


def read_rows(resource: str, post: QueryDict) -> tuple[Row, ...]:
    """The conditions that a form says, over the items of an entry."""
    lines = typed_lines(post)
    if not lines:
        return ()
    items = {item.field: item for item in Item.objects.filter(resource_id=resource)}
    return read_lines(lines, items)
