"""The one way files reach the pages: in memory, bounded before a byte is kept."""

from io import BytesIO
from typing import Any

from django.core.exceptions import RequestDataTooBig
from django.core.files.uploadedfile import InMemoryUploadedFile
from django.core.files.uploadhandler import FileUploadHandler, StopUpload

from shuqiao.control.documents.models import MAX_BYTES

# Beside one file of the largest size a form has its fields and the frame around them.
FIELDS_BYTES = 2 * 1024 * 1024


class BoundedUpload(FileUploadHandler):
    """Keeps files in memory and refuses a form larger than one file and its fields.

    Django's own handlers write what is large to disk without a bound, and do so before anybody has been
    asked who they are. A file larger than allowed is cut one byte past the limit: the action that takes
    it in says so at its field.
    """

    max_file_bytes = MAX_BYTES

    def handle_raw_input(
        self,
        _input_data: Any,
        _meta: dict[str, str],
        content_length: int,
        _boundary: Any,
        _encoding: str | None = None,
    ) -> None:
        """Refuse a form that says itself that it is too large."""
        if content_length > self.max_file_bytes + FIELDS_BYTES:
            raise RequestDataTooBig("the form is larger than one file may be")
        self._total = 0

    def new_file(self, *args: Any, **kwargs: Any) -> None:
        """Begin with an empty file."""
        super().new_file(*args, **kwargs)
        self._file = BytesIO()

    def receive_data_chunk(self, raw_data: bytes, start: int) -> None:
        """Keep a chunk; a sender that lied about the length is cut off."""
        self._total += len(raw_data)
        if self._total > self.max_file_bytes + FIELDS_BYTES:
            raise StopUpload(connection_reset=True)
        self._file.write(raw_data[: max(0, self.max_file_bytes + 1 - start)])

    def file_complete(self, file_size: int) -> InMemoryUploadedFile:
        """Hand the file over."""
        self._file.seek(0)
        return InMemoryUploadedFile(
            file=self._file,
            field_name=self.field_name,
            name=self.file_name,
            content_type=self.content_type,
            size=file_size,
            charset=self.charset,
            content_type_extra=self.content_type_extra,
        )
