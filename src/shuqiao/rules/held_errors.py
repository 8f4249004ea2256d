"""Refusals of calls on data that stay with a department. The tree is in `rules.errors`."""

from __future__ import annotations

from shuqiao.rules.call_errors import CallError


class NodeSilent(CallError):
    """The department's node gave no answer in time."""

    code = "node_silent"
    status = 504
    message_zh = "该信息留存在责任部门，其前置机未在 {seconds} 秒内应答，未提供数据，已登记。请稍后重试。"
    message_en = (
        "This information stays with its department, whose node did not answer within {seconds} s; nothing "
        "was given, and the call was recorded. Try again later."
    )


class NodeAway(CallError):
    """The way to the department's node is interrupted, or the node was silent several times in a row."""

    code = "node_away"
    status = 503
    message_zh = "该信息留存在责任部门，其前置机暂时无法联系，未提供数据，已登记。请 {seconds} 秒后重试。"
    message_en = (
        "This information stays with its department, whose node can't be reached for the moment; nothing was "
        "given, and the call was recorded. Try again in {seconds} s."
    )


class NodeRefused(CallError):
    """The node checked the call itself and gives no answer, or gave one that can't be believed."""

    code = "node_refused"
    status = 503
    message_zh = (
        "责任部门的前置机自行核验后未予应答（原因：{reason}），未提供数据，已登记。请联系平台或责任部门。"
    )
    message_en = (
        "The department's node checked the call itself and gave no answer (reason: {reason}); nothing was "
        "given, and the refusal was recorded. Contact the platform or the department."
    )


class GrantNotConfirmed(CallError):
    """The department has not confirmed at its node that this application may use the grant."""

    code = "grant_not_confirmed"
    status = 403
    message_zh = (
        "该信息留存在责任部门，部门尚未在其前置机上确认授权 {grant} 与该应用密钥，未提供数据。"
        "请联系责任部门的技术人员确认。"
    )
    message_en = (
        "This information stays with its department, which has not confirmed grant {grant} with this "
        "application's key at its node; nothing was given. Ask the department's technician to confirm it."
    )
    matter = "within_grant"


class OneSubjectOnly(CallError):
    """A call about many subjects on data that stay with a department."""

    code = "one_subject_only"
    status = 400
    message_zh = "该信息留存在责任部门，每次调用只能核验或查询一个对象。请逐个调用。"
    message_en = (
        "This information stays with its department: each call verifies or queries one subject. "
        "Call for each of them."
    )
