"""Reading a file that a browser sends."""

from django.http import HttpRequest

from shuqiao.control.documents.actions import FileInput
from shuqiao.control.documents.models import MAX_BYTES
from shuqiao.control.documents.uploads import BoundedUpload
from shuqiao.rules.files import MAX_FILE_BYTES


class RegisteredFileUpload(BoundedUpload):
    """Takes a file that is registered as a resource: larger than a document of a case, as bounded."""

    max_file_bytes = MAX_FILE_BYTES


def read_registered_file(request: HttpRequest, name: str) -> FileInput | None:
    """Read a file that is to be registered, from a form whose handler is `RegisteredFileUpload`."""
    given = request.FILES.get(name)
    if given is None or not given.name:
        return None
    return FileInput(given.name, given.read(MAX_FILE_BYTES + 1))


def read_file(request: HttpRequest, name: str) -> FileInput | None:
    """Read one file of a form, or None where none was chosen; one byte past the limit is read, not more."""
    given = request.FILES.get(name)
    if given is None or not given.name:
        return None
    return FileInput(given.name, given.read(MAX_BYTES + 1))
