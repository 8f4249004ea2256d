"""Refusals of a node that asks to be admitted. The tree is in `rules.errors`."""

from __future__ import annotations

from shuqiao.rules.interface_errors import InterfaceError


class EnrolmentTokenUnusable(InterfaceError):
    """The token is unknown, over, taken back, or not proved: one text for all."""

    code = "enrolment_token_unusable"
    status = 403
    message_zh = "接入令牌无效、已过期或已撤回，前置机未接入。请平台管理机构签发新令牌。"
    message_en = (
        "The token is unknown, over or withdrawn; the node is not admitted. "
        "Ask the platform agency for a new token."
    )


class EnrolmentTokenUsed(InterfaceError):
    """Another node's keys came with this token first."""

    code = "enrolment_token_used"
    status = 409
    message_zh = (
        "该接入令牌已被另一组密钥使用，前置机未接入，已登记。"
        "若不是本部门所为，请立即告知平台管理机构，并申请新令牌。"
    )
    message_en = (
        "This token was used with other keys; the node is not admitted, and this was recorded. If that was "
        "not your department, tell the platform agency at once and ask for a new token."
    )


class NodeNotInUse(InterfaceError):
    """The keys of the node were revoked."""

    code = "node_not_in_use"
    status = 403
    message_zh = "该前置机的密钥已被撤销，未接入。请在空目录中以新令牌重新接入。"
    message_en = (
        "The keys of this node were revoked; it is not admitted. "
        "Enrol it with a new token in an empty folder."
    )


class AskedTooOften(InterfaceError):
    """One address asks to be admitted more often than a node does."""

    code = "asked_too_often"
    status = 429
    message_zh = "该地址的请求过于频繁，未作处理。请 {seconds} 秒后重试。"
    message_en = "This address asks too often; nothing was done. Try again in {seconds} s."
