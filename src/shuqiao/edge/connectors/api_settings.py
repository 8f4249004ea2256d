"""The description of an HTTP interface whose lists are read: a YAML file that `api:///path/file.yaml` names.

It names the address, headers whose values are read from files, and for each table where its rows stand in an
answer and how the next page is found. Nothing that is secret stands in it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import unquote, urlsplit

import msgspec
import yaml

from shuqiao.edge.connectors import SourceError
from shuqiao.edge.interface_files import bounded_header
from shuqiao.edge.mapping import MAX_FILE_BYTES
from shuqiao.edge.words import Words

By = Literal["one", "number", "offset", "cursor", "link", "url"]
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
_DURATION = re.compile(r"([1-9][0-9]{0,6})(s|min|h|d)")
_UNITS = {"s": 1, "min": 60, "h": 3_600, "d": 86_400}


class Pages(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the next page is found.

    By its number or the number of rows before it in a parameter, by a cursor or an address that stands in the
    answer at `next`, or by the header Link (RFC 8288). `size` is asked for in `size_parameter`.
    """

    by: By = "one"
    parameter: str = ""
    first: Annotated[int, msgspec.Meta(ge=0)] = 1
    next: str = ""
    size: Annotated[int, msgspec.Meta(ge=1, le=100_000)] | None = None
    size_parameter: str = ""

    def __post_init__(self) -> None:
        """Refuse what can't work."""
        if self.by in ("number", "offset", "cursor") and not self.parameter:
            raise ValueError(Words(f"按{self.by}分页须有`parameter`", f"pages by {self.by} need `parameter`"))
        if self.by in ("cursor", "url") and not self.next:
            raise ValueError(
                Words(
                    f"按{self.by}分页须有`next`，即它在应答中的位置",
                    f"pages by {self.by} need `next`, where it stands in an answer",
                )
            )
        if (self.size is None) != (not self.size_parameter):
            raise ValueError(
                Words("`size`与`size_parameter`须同时写", "`size` and `size_parameter` stand together")
            )


class ApiTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A list of the interface: where it is asked for, and where its rows and their number stand."""

    path: Name
    query: dict[str, str] = {}
    rows: str = ""
    total: str = ""
    pages: Pages = Pages()


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    base_url: Name
    tables: Annotated[dict[str, ApiTable], msgspec.Meta(min_length=1, max_length=200)]
    headers: Annotated[dict[str, str], msgspec.Meta(max_length=16)] = {}
    ca: str = ""
    every: str = "15min"
    timeout_s: Annotated[float, msgspec.Meta(ge=0.1, le=600)] = 20.0


@dataclass(frozen=True)
class Api:
    """An interface of the department, its address without a slash at the end."""

    base_url: str
    headers: Mapping[str, str]
    authority: Path | None
    every_s: float
    timeout_s: float
    tables: Mapping[str, ApiTable]

    def __repr__(self) -> str:
        """Leave address and credentials out."""
        return "Api()"


def read_api(url: str) -> Api:
    """Read the file that the source's address names; raises SourceError without repeating a value of it."""
    path = Path(unquote(urlsplit(url).path))
    try:
        return _read(path)
    except yaml.YAMLError:
        said = Words(f"{path.name}：不是可读的YAML", f"{path.name}: not readable as YAML")
        raise SourceError(said) from None
    except msgspec.ValidationError as error:
        said = Words(f"{path.name}：写法不符：{error}", f"{path.name}: {error}")
        raise SourceError(said) from None
    except (OSError, ValueError) as error:
        why = type(error).__name__ if isinstance(error, OSError | UnicodeError) else error
        raise SourceError(Words(f"{path.name}：{why}", f"{path.name}: {why}")) from None


def _read(path: Path) -> Api:
    with path.open("rb") as file:
        content = file.read(MAX_FILE_BYTES + 1)
    if len(content) > MAX_FILE_BYTES:
        raise ValueError(Words(f"大于{MAX_FILE_BYTES}字节", f"larger than {MAX_FILE_BYTES} bytes"))
    given = msgspec.convert(yaml.safe_load(content), _File)
    address = urlsplit(given.base_url)
    if address.scheme not in ("http", "https") or not address.hostname or address.query or address.username:
        raise ValueError(
            Words(
                "base_url须是http(s)://host/path，不带用户和查询",
                "base_url must be http(s)://host/path, without a user or a query",
            )
        )
    every = _DURATION.fullmatch(given.every)
    if every is None:
        raise ValueError(Words("every是时长，如90s、15min或24h", "every is a time such as 90s, 15min or 24h"))
    if any(not table.path.startswith("/") for table in given.tables.values()):
        raise ValueError(Words("清单的path以/开头", "the path of a table begins with /"))
    return Api(
        given.base_url.rstrip("/"),
        {name: bounded_header(path.parent, name, file) for name, file in given.headers.items()},
        path.parent / given.ca if given.ca else None,
        float(int(every[1]) * _UNITS[every[2]]),
        given.timeout_s,
        given.tables,
    )
