"""Refusals of calls to a department's own interface. The tree is in `rules.errors`."""

from __future__ import annotations

from shuqiao.rules.call_errors import CallError


class OperationNotGranted(CallError):
    """The grant does not name the operation."""

    code = "operation_not_granted"
    status = 403
    message_zh = (
        "授权 {grant} 不包括接口操作 {operation}，未被处理。授权的操作：{operations}。"
        "请在授权范围内调用，或另行申请。"
    )
    message_en = (
        "Grant {grant} does not name the operation {operation}; nothing was done. It names: {operations}. "
        "Call within the grant, or request another."
    )
    matter = "within_grant"


class ParameterRefused(CallError):
    """A parameter or body that the description of the interface does not allow."""

    code = "parameter_refused"
    status = 422
    message_zh = "参数 {parameter} 不符合接口说明，调用未转给部门。请按说明填写后重试。"
    message_en = (
        "The parameter {parameter} is not as the description of the interface says; the call was not passed "
        "on. Correct it and try again."
    )


class InterfaceFailed(CallError):
    """The department's interface gave no answer that may be passed on; no text of its own leaves."""

    code = "interface_failed"
    status = 502
    message_zh = (
        "责任部门的接口未给出可用的应答（原因：{reason}），未提供数据，已登记。"
        "请稍后重试；仍有问题请联系责任部门。"
    )
    message_en = (
        "The department's interface gave no answer that can be passed on (reason: {reason}); nothing was "
        "given, and the failure was recorded. Try again later; if it persists, contact the department."
    )


class InterfaceResting(CallError):
    """The interface failed several times in a row and is left alone for a while."""

    code = "interface_resting"
    status = 503
    message_zh = "责任部门的接口连续失败，暂停转发 {rest_s} 秒，此次调用未转给部门。请稍后重试。"
    message_en = (
        "The department's interface failed several times in a row and is left alone for {rest_s} s; this "
        "call was not passed on. Try again later."
    )
