"""What somebody brought is given out as a file to keep, whatever its name and content say."""

from contextlib import ExitStack

import pytest

from shuqiao.control.deliveries.copies import HeldPieces, PartStream
from shuqiao.control.web.streams import streamed


@pytest.mark.parametrize(
    ("name", "plain", "extended"),
    [
        ("copy-0a1b-1.csv", "copy-0a1b-1.csv", "copy-0a1b-1.csv"),
        ("年报.pdf", "__.pdf", "%E5%B9%B4%E6%8A%A5.pdf"),
        ('a"; x="1\r\nSet-Cookie: b.html', "a___x__1__Set-Cookie__b.html", None),
    ],
)
def test_a_file_is_one_to_keep_under_its_name(name, plain, extended):
    """An attachment with both forms of its name (RFC 6266), not sniffed, without rights."""
    with ExitStack() as held:
        pieces = HeldPieces(iter([b"<script>", b"</script>"]), held.pop_all())
        answer = streamed(PartStream(206, {"content-type": "text/html", "etag": '"1"'}, name, pieces))
        assert b"".join(answer) == b"<script></script>"
    disposition = answer.headers["Content-Disposition"]
    first, _, second = disposition.partition("; filename*=UTF-8''")
    assert first == f'attachment; filename="{plain}"'
    assert second.isascii() and '"' not in second and (extended is None or second == extended)
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Content-Security-Policy"] == "default-src 'none'; sandbox"
    assert (answer.status_code, answer.headers["ETag"]) == (206, '"1"')
