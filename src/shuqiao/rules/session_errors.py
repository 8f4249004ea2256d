"""Refusals around sessions and what confirms their calls. The tree is in `rules.errors`."""

from __future__ import annotations

from shuqiao.rules.call_errors import CallError


class SessionOver(CallError):
    """The session's time or its number of calls is used up."""

    code = "session_over"
    status = 401
    message_zh = (
        "会话密钥已满 {lifetime_s} 秒或 {calls} 次调用，本次调用未作处理。"
        "请先用应用自己的密钥签署本会话的调用清单（POST /v1/sessions/heads），再商定新的会话密钥后重新调用。"
    )
    message_en = (
        "The session key has served its {lifetime_s} s or {calls} calls; this call was not processed. Sign "
        "the list of the session's calls with the application's own key (POST /v1/sessions/heads), agree a "
        "new session key and call again."
    )
    matter = "security"
    standard = "RFC 9421"


class SessionUnsigned(CallError):
    """Calls of earlier sessions stand unsigned beyond the limit."""

    code = "session_unsigned"
    status = 403
    message_zh = (
        "以下会话的调用超过 {limit_s} 秒仍未签署：{sessions}。在签署之前不商定新的会话密钥。"
        "请用应用自己的密钥签署其调用清单（POST /v1/sessions/heads）；"
        "调用记录已丢失的，请在清单中如实声明（lost）。"
        "在此期间仍可逐次用自己的密钥签名调用。"
    )
    message_en = (
        "Calls of these sessions have stood unsigned for more than {limit_s} s: {sessions}. No new session "
        "key is agreed until they are signed with the application's own key (POST /v1/sessions/heads); if "
        "your record of them is lost, say so in the list (lost). Calls that are signed one by one are "
        "answered meanwhile."
    )
    matter = "security"


class HeadContradicted(CallError):
    """A signed list says something else of a call than the log."""

    code = "head_contradicted"
    status = 422
    message_zh = (
        "清单所列第 {numbers} 次调用的请求摘要与平台日志不符，清单未被接受。"
        "请核对本系统的调用记录；确认无误的，请向平台管理机构提出，并保留清单和当时收到的承诺。"
    )
    message_en = (
        "For call {numbers} the list names another digest of the request than the platform's log; the list "
        "was not accepted. Compare your own records; if they are right, tell the platform agency, and keep "
        "the list and the promises you were given."
    )
    matter = "security"


class SignedCallNeeded(CallError):
    """The grant demands that each call carries a signature of the application's own key."""

    code = "signed_call_needed"
    status = 403
    message_zh = "授权 {grant} 要求逐次签名，会话密钥的调用未作处理。请用应用自己的密钥为每次调用签名后重试。"
    message_en = (
        "Grant {grant} demands a signature for each call, and this one came with a session key; nothing was "
        "answered. Sign each call with the application's own key."
    )
    matter = "within_grant"
