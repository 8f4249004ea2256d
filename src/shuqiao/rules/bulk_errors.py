"""Refusals about copies of whole lists. The tree is in `rules.errors`."""

from __future__ import annotations

from shuqiao.rules.call_errors import CallError


class LinkExpired(CallError):
    """The link to a part of a copy is past its end."""

    code = "link_expired"
    status = 403
    message_zh = "此下载链接已过有效期，未提供数据。请重新获取链接后继续下载，已下载的部分不必重来。"
    message_en = (
        "This link is past its end; nothing was given. Get a new one and go on with the download: "
        "what was fetched need not be fetched again."
    )
    matter = "security"


class RangeUnsatisfiable(CallError):
    """The range begins behind the end of the part."""

    code = "range_unsatisfiable"
    status = 416
    message_zh = "所请求的字节范围超出该分片（共 {size_bytes} 字节）。请按清单中的大小重新请求。"
    message_en = (
        "The range lies behind the end of the part ({size_bytes} bytes). "
        "Ask again within the size that the manifest gives."
    )
    standard = "RFC 9110"


class BulkBusy(CallError):
    """The department has as many copies under way as it may."""

    code = "bulk_busy"
    status = 429
    message_zh = "本部门正在准备的副本已达上限，未再受理。请等待其中一份完成后再申请。"
    message_en = (
        "As many copies as the department may have are being prepared; this one was not begun. "
        "Wait for one of them to end and ask again."
    )
