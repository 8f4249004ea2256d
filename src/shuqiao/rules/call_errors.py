"""Refusals of calls that applications make to the plane. The tree is in `rules.errors`."""

from __future__ import annotations

from shuqiao.rules.error_base import ShuqiaoError


class CallError(ShuqiaoError):
    """An application's call to the plane is refused."""


class SignatureMissing(CallError):
    """The request carries no signature of the profile."""

    code = "signature_missing"
    status = 401
    message_zh = "请求没有签名，未被处理。请用应用的私钥按接口说明为请求签名（标签 sq）后重试。"
    message_en = (
        "The request carries no signature and was not processed. "
        "Sign it with the application's key, label sq, as the interface guide shows, and try again."
    )
    matter = "security"
    standard = "RFC 9421"


class SignatureInvalid(CallError):
    """The signature does not verify, the key is unknown or the application is not active: one text."""

    code = "signature_invalid"
    status = 401
    message_zh = "请求的签名不能由有效应用的密钥验证，未被处理。请检查密钥编号、签名内容和应用状态后重试。"
    message_en = (
        "The signature of the request can't be verified by the key of an active application; it was not "
        "processed. Check the key id, the signed parts and the application's state, and try again."
    )
    matter = "security"
    standard = "RFC 9421"


class SignatureStale(CallError):
    """The signature's time lies outside the window."""

    code = "signature_stale"
    status = 401
    message_zh = "签名时间与平台时间相差超过 {window_s} 秒，请求未被处理。请校准时钟并重新签名后重试。"
    message_en = (
        "The signature's time differs from the platform's by more than {window_s} s; the request was not "
        "processed. Set the clock, sign again and retry."
    )
    matter = "security"
    standard = "RFC 9421"


class SignatureReplayed(CallError):
    """A request with this key, time and nonce was processed before."""

    code = "signature_replayed"
    status = 401
    message_zh = "同一签名的请求已处理过，此次未被处理。请用新的随机数（nonce）重新签名后重试。"
    message_en = (
        "A request with this very signature was processed before; this one was not. "
        "Sign again with a new nonce and retry."
    )
    matter = "security"
    standard = "RFC 9421"


class DigestMismatch(CallError):
    """The body is not the one whose digest was signed."""

    code = "digest_mismatch"
    status = 400
    message_zh = (
        "请求正文与所签名的摘要（Content-Digest）不一致，未被处理。请按实际发送的字节计算摘要后重试。"
    )
    message_en = (
        "The body differs from the signed Content-Digest; the request was not processed. "
        "Compute the digest over the bytes you send and try again."
    )
    standard = "RFC 9530"


class RequestMalformed(CallError):
    """A part of the request does not have the form of the interface."""

    code = "request_malformed"
    status = 400
    message_zh = "请求的“{part}”不符合接口格式，未被处理。请对照接口说明 openapi.json 修改后重试。"
    message_en = (
        'The part "{part}" of the request does not have the form of the interface; it was not processed. '
        "Correct it as the openapi.json of the interface says and try again."
    )


class BodyNotJson(CallError):
    """The body is not a JSON object."""

    code = "body_not_json"
    status = 400
    message_zh = "请求正文不是 JSON 对象，未被处理。请以 UTF-8 编码的 JSON 对象作为正文后重试。"
    message_en = (
        "The body is not a JSON object; the request was not processed. "
        "Send one JSON object in UTF-8 and try again."
    )


class BodyTooLarge(CallError):
    """The body exceeds the limit."""

    code = "body_too_large"
    status = 413
    message_zh = "请求正文超过 {limit_bytes} 字节的上限，未被处理。请分多次请求。"
    message_en = (
        "The body exceeds the limit of {limit_bytes} bytes; the request was not processed. "
        "Split it into several requests."
    )


class RequestTimeout(CallError):
    """The body did not arrive in time."""

    code = "request_timeout"
    status = 408
    message_zh = "请求正文未在 {limit_s} 秒内到达，连接已关闭。请检查网络后重试。"
    message_en = (
        "The body did not arrive within {limit_s} s; the connection was closed. "
        "Check the network and try again."
    )


class NotAvailable(CallError):
    """Unknown resource, no grant, or the subject is not there: one code and one text for all."""

    code = "not_available"
    status = 404
    message_zh = (
        "没有可供本次调用使用的信息：资源或记录不存在，或本部门没有对应的授权。"
        "请核对资源标识与号码；需要授权的，请在平台目录中提出共享申请。"
    )
    message_en = (
        "Nothing is available to this call: the resource or record does not exist, or the department holds "
        "no grant for it. Check the resource id and the number; for a grant, apply in the catalogue."
    )
    matter = "first_request"


class ItemNotGranted(CallError):
    """The call names items outside the grant."""

    code = "item_not_granted"
    status = 403
    message_zh = (
        "本次调用的信息项“{items}”不在授权范围内，未作处理。请去掉这些信息项，或就其另行提出共享申请。"
    )
    message_en = (
        'The items "{items}" of this call lie outside the grant; nothing was answered. '
        "Leave them out, or apply for them."
    )
    matter = "within_grant"


class PagesOnly(CallError):
    """A way that is for persons on the pages was asked for by a system, or for nobody."""

    code = "pages_only"
    status = 403
    message_zh = (
        "授权 {grant} 的“{channel}”方式由具名人员在平台页面上使用，不供系统调用，本次请求未作处理。"
        "请在页面上使用，或另行申请接口方式。"
    )
    message_en = (
        'The way "{channel}" of grant {grant} is for a named person on the pages and not for systems; '
        "nothing was answered. Use the pages, or apply for the interface."
    )
    matter = "within_grant"


class ChannelNotGranted(CallError):
    """The grant gives its information in another way."""

    code = "channel_not_granted"
    status = 403
    message_zh = (
        "授权 {grant} 不包含“{channel}”方式（可用方式：{channels}），本次调用未作处理。"
        "请按授权的方式使用，或另行申请该方式。"
    )
    message_en = (
        'Grant {grant} does not include the way "{channel}" (it includes: {channels}); nothing was answered. '
        "Use one of these, or apply for the other."
    )
    matter = "within_grant"


class QueryGrantNeeded(CallError):
    """A comparison of these items alone would read them out."""

    code = "query_grant_needed"
    status = 403
    message_zh = (
        "信息项“{items}”取值很少，单独核验等同于查询，本授权只供核验，故未作答复。"
        "请在同一次调用中一并核验证件号码和姓名，或就其申请查询授权。"
    )
    message_en = (
        'The items "{items}" have few possible values: to verify them alone is to query them, and this grant '
        "is for verification; nothing was answered. Verify identifier and name in the same call, or apply "
        "for a grant to query."
    )
    matter = "within_grant"


class CaseNumberDemanded(CallError):
    """Too many comparisons with this record did not agree today; a case number shows what the next is for."""

    code = "case_number_demanded"
    status = 403
    message_zh = (
        "今日对该对象同一信息项的比对不一致次数已达上限，本次未作答复。"
        "请填写办件编号（case）后重新签名调用；办理不受影响，超限情况已留痕并提示主管部门。"
    )
    message_en = (
        "Too many comparisons of one item of this subject did not agree today; this one was not answered. "
        "State the number of the case and call again with a new signature: the case itself is not held up. "
        "It has been recorded for the department in charge."
    )
    matter = "security"


class ClaimsIncomplete(CallError):
    """The grant answers all its items together, and the call claims only some of them."""

    code = "claims_incomplete"
    status = 422
    message_zh = "本授权只对全部信息项合并答复，本次调用缺少“{items}”，未作处理。请补齐后再试。"
    message_en = (
        'This grant answers all its items together; this call lacks "{items}", so nothing was answered. '
        "Add them and try again."
    )
    matter = "within_grant"


class GrantExpired(CallError):
    """The grant's last day is over."""

    code = "grant_expired"
    status = 403
    message_zh = "授权 {grant} 已于 {valid_until} 期满，本次调用未作处理。仍需使用的，请重新提出共享申请。"
    message_en = (
        "Grant {grant} ended on {valid_until}; nothing was answered. Apply again if it is still needed."
    )
    matter = "sharing_period"


class GrantNotYetValid(CallError):
    """The grant's first day lies ahead."""

    code = "grant_not_yet_valid"
    status = 403
    message_zh = "授权 {grant} 自 {valid_from} 起生效，本次调用未作处理。请在生效之日起使用。"
    message_en = "Grant {grant} begins on {valid_from}; nothing was answered. Call from that day on."
    matter = "sharing_period"


class GrantRevoked(CallError):
    """The owner has revoked the grant."""

    code = "grant_revoked"
    status = 403
    message_zh = (
        "授权 {grant} 已被提供部门撤销，理由：{reason}。本次调用未作处理。"
        "有异议的，请与提供部门协商或申请协调。"
    )
    message_en = (
        "Grant {grant} was revoked by the providing department: {reason}. Nothing was answered. "
        "If you object, negotiate with that department or ask for co-ordination."
    )
    matter = "disputes"


class GrantSuspended(CallError):
    """The owner has stopped the grant for the time being."""

    code = "grant_suspended"
    status = 403
    message_zh = (
        "授权 {grant} 已被提供部门暂停，理由：{reason}。本次调用未作处理。"
        "恢复后可继续使用；有异议的，请与提供部门协商或申请协调。"
    )
    message_en = (
        "Grant {grant} was suspended by the providing department: {reason}. Nothing was answered. "
        "It can be used again once it is resumed; if you object, negotiate or ask for co-ordination."
    )
    matter = "disputes"


class IdentifierInvalid(CallError):
    """A number does not have its form, or its check digit is wrong."""

    code = "identifier_invalid"
    status = 422
    message_zh = "“{item}”的号码位数、字符或校验码不正确，未作处理。请对照证件核对后重新填写。"
    message_en = (
        'The number in "{item}" has a wrong length, character or check digit; nothing was answered. '
        "Compare it with the document and enter it again."
    )
    standard = "GB 11643, GB 32100"


class ClaimInvalid(CallError):
    """A claimed value does not have the form of its item."""

    code = "claim_invalid"
    status = 422
    message_zh = "所填“{item}”的值不符合该信息项的格式，未作比对。请按目录中该项的类型填写后重试。"
    message_en = (
        'The value claimed for "{item}" does not have the form of the item; nothing was compared. '
        "Enter it in the type the catalogue gives and try again."
    )


class TooManyCalls(CallError):
    """The application calls more often than each may; this call was turned away before any work."""

    code = "too_many_calls"
    status = 429
    message_zh = (
        "本应用的调用超过每秒 {calls_per_s} 次的上限，本次调用未作处理。"
        "请稍候以新的签名重试；需要更高上限的，请联系平台管理机构。"
    )
    message_en = (
        "The application calls more than {calls_per_s} times a second; this call was not processed. Wait and "
        "retry with a new signature; for a higher limit ask the platform agency."
    )


class Overloaded(CallError):
    """Too many calls wait; this one was turned away before any work."""

    code = "overloaded"
    status = 503
    message_zh = "平台当前调用过多，本次调用未作处理。请稍候以新的签名重试。"
    message_en = (
        "Too many calls are waiting; this one was not processed. Wait and retry with a new signature."
    )


class Unavailable(CallError):
    """A part of the platform can't be reached; nothing was answered."""

    code = "unavailable"
    status = 503
    message_zh = (
        "平台的一个部件暂不可用，本次调用未作答复。请稍候以新的签名重试；持续发生请联系平台管理机构。"
    )
    message_en = (
        "A part of the platform can't be reached; nothing was answered. Retry later with a new signature; "
        "if it persists, contact the platform agency."
    )
