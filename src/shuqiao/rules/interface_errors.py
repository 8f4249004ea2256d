"""Refusals of the interface through which departments' systems write entries. The tree: `rules.errors`."""

from __future__ import annotations

from shuqiao.rules.error_base import ShuqiaoError


class InterfaceError(ShuqiaoError):
    """A request of a department's system to the catalogue is refused."""


class EndUserRefused(InterfaceError):
    """The end user named is nobody of the department, or may not do this: one text for all."""

    code = "end_user_refused"
    status = 403
    message_zh = (
        "请求未由本部门有权限的人员作出，未作任何更改。"
        "请在 Shuqiao-End-User 中填写本部门负责目录编制的人员账号后重新签名。"
    )
    message_en = (
        "The request is not made for a person of the department who may do this; nothing was changed. "
        "Name the account of somebody who compiles its catalogue in Shuqiao-End-User and sign again."
    )
    matter = "persons_in_charge"


class EntryNotFound(InterfaceError):
    """There is no such entry for this department: absent and not permitted are one answer."""

    code = "entry_not_found"
    status = 404
    message_zh = "本部门没有这一条目或地址，未作任何更改。请核对标识和请求的地址。"
    message_en = (
        "The department has no such entry, or there is no such address; nothing was changed. "
        "Check the key and the address."
    )


class EntryFaulty(InterfaceError):
    """The entry breaks rules; the answer lists every one of them at its place."""

    code = "entry_faulty"
    status = 422
    message_zh = "条目有 {count} 处不符合要求，未作任何更改。请按 faults 中列出的位置逐一修改后重试。"
    message_en = (
        "The entry is wrong in {count} places; nothing was changed. "
        "Correct each place that `faults` lists and try again."
    )
    matter = "catalogue_entry"


class MethodNotAllowed(InterfaceError):
    """The address has no such method."""

    code = "method_not_allowed"
    status = 405
    message_zh = "该地址不支持此方法，未作处理。请使用 {allowed}。"
    message_en = "The address has no such method; nothing was done. Use {allowed}."
