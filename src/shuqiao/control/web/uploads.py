"""Reading a file that a browser sends."""

from django.http import HttpRequest

from shuqiao.control.documents.actions import FileInput
from shuqiao.control.documents.models import MAX_BYTES


def read_file(request: HttpRequest, name: str) -> FileInput | None:
    """Read one file of a form, or None where none was chosen; one byte past the limit is read, not more."""
    given = request.FILES.get(name)
    if given is None or not given.name:
        return None
    return FileInput(given.name, given.read(MAX_BYTES + 1))
