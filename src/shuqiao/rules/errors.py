"""Every refusal the platform can give, with its stable code, HTTP status and words in two languages.

ShuqiaoError
├── CallError                     an application called the plane
│   ├── SignatureMissing          401 signature_missing
│   ├── SignatureInvalid          401 signature_invalid (also: unknown key, inactive application)
│   ├── SignatureStale            401 signature_stale
│   ├── SignatureReplayed         401 signature_replayed
│   ├── DigestMismatch            400 digest_mismatch
│   ├── RequestMalformed          400 request_malformed
│   ├── BodyNotJson               400 body_not_json
│   ├── BodyTooLarge              413 body_too_large
│   ├── RequestTimeout            408 request_timeout
│   ├── NotAvailable              404 not_available (unknown, not granted, not there: one text)
│   ├── ItemNotGranted            403 item_not_granted
│   ├── GrantExpired              403 grant_expired
│   ├── GrantNotYetValid          403 grant_not_yet_valid
│   ├── GrantRevoked              403 grant_revoked
│   ├── IdentifierInvalid         422 identifier_invalid
│   ├── ClaimInvalid              422 claim_invalid
│   ├── Overloaded                503 overloaded
│   └── Unavailable               503 unavailable
├── BatchError                    a node's batch is refused whole
│   ├── BatchSignatureInvalid     401 batch_signature_invalid
│   ├── BatchWrongDepartment      403 batch_wrong_department
│   ├── BatchMalformed            400 batch_malformed
│   ├── BatchUnknownResource      404 batch_unknown_resource
│   └── BatchOutOfSequence        409 batch_out_of_sequence
├── RowError                      one row of a batch is refused; the others are merged
│   ├── ItemRequired              422 item_required
│   ├── ItemType                  422 item_type
│   ├── ItemCodeUnknown           422 item_code_unknown
│   ├── ItemTooLong               422 item_too_long
│   ├── IdentifierCheckDigit      422 identifier_check_digit
│   ├── DateImpossible            422 date_impossible
│   └── DuplicateKey              422 duplicate_key
└── OfficeError                   somebody acts on the pages of control
    ├── PermissionDenied          403 permission_denied
    ├── TransitionRefused         409 transition_refused
    ├── FieldRequired             422 field_required
    ├── PeriodTooLong             422 period_too_long
    ├── ReasonRequired            422 reason_required
    ├── AlreadyDecided            409 already_decided
    └── RegulationInvalid         500 regulation_invalid

A field holds names, numbers of cases and limits, never a person's data: messages reach logs and URLs.
Source: our choice, decision "one error hierarchy" (style guide, Errors).
"""

from __future__ import annotations

import re
from string import Formatter
from typing import ClassVar

_ARTICLE = re.compile(r"art\. ([0-9]+)")


def _names_in(template: str) -> frozenset[str]:
    return frozenset(name for _, name, _, _ in Formatter().parse(template) if name)


def _cited_in_chinese(rule: str) -> str:
    """A citation such as `guangzhou-2016 art. 35(1)` with the article in Chinese."""
    return _ARTICLE.sub(r"第\1条", rule)


class ShuqiaoError(Exception):
    """A refusal with a code that never changes and a message that says what to do next.

    `rule` cites what the refusal rests on; a decision that knows a better citation passes it.
    A field the message names and the caller leaves out is a fault of ours and raises TypeError.
    """

    code: ClassVar[str] = "error"
    status: ClassVar[int] = 500
    message_zh: ClassVar[str] = "处理未能完成。请稍后重试；仍有问题请联系平台管理机构。"
    message_en: ClassVar[str] = (
        "The work could not be completed. Try again later; if it persists, contact the platform agency."
    )
    default_rule: ClassVar[str | None] = None
    field_names: ClassVar[frozenset[str]] = frozenset()

    def __init_subclass__(cls) -> None:
        """Collect the fields that the two messages name."""
        cls.field_names = _names_in(cls.message_zh) | _names_in(cls.message_en)

    def __init__(self, *, rule: str | None = None, **fields: str | int) -> None:
        """Keep the fields; `rule` replaces the citation of the class."""
        missing = self.field_names - fields.keys()
        if missing:
            raise TypeError(f"{type(self).__name__} needs {', '.join(sorted(missing))}")
        super().__init__(self.code)
        self.fields: dict[str, str] = {name: str(value) for name, value in fields.items()}
        self.rule: str | None = rule if rule is not None else self.default_rule

    def explain(self, language: str = "zh") -> str:
        """The message in Chinese or English, with the rule it rests on."""
        if language.startswith("en"):
            text = self.message_en.format_map(self.fields)
            return f"{text} (Rule: {self.rule})" if self.rule else text
        text = self.message_zh.format_map(self.fields)
        return f"{text}（依据：{_cited_in_chinese(self.rule)}）" if self.rule else text

    def __str__(self) -> str:
        """The code and the English message, for logs."""
        return f"{self.code}: {self.explain('en')}"


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
    default_rule = "guangzhou-2016 art. 38(1); RFC 9421"


class SignatureInvalid(CallError):
    """The signature does not verify, the key is unknown or the application is not active: one text."""

    code = "signature_invalid"
    status = 401
    message_zh = "请求的签名不能由有效应用的密钥验证，未被处理。请检查密钥编号、签名内容和应用状态后重试。"
    message_en = (
        "The signature of the request can't be verified by the key of an active application; it was not "
        "processed. Check the key id, the signed parts and the application's state, and try again."
    )
    default_rule = "guangzhou-2016 art. 38(1); RFC 9421"


class SignatureStale(CallError):
    """The signature's time lies outside the window."""

    code = "signature_stale"
    status = 401
    message_zh = "签名时间与平台时间相差超过 {window_s} 秒，请求未被处理。请校准时钟并重新签名后重试。"
    message_en = (
        "The signature's time differs from the platform's by more than {window_s} s; the request was not "
        "processed. Set the clock, sign again and retry."
    )
    default_rule = "guangzhou-2016 art. 38(1); RFC 9421"


class SignatureReplayed(CallError):
    """A request with this key, time and nonce was processed before."""

    code = "signature_replayed"
    status = 401
    message_zh = "同一签名的请求已处理过，此次未被处理。请用新的随机数（nonce）重新签名后重试。"
    message_en = (
        "A request with this very signature was processed before; this one was not. "
        "Sign again with a new nonce and retry."
    )
    default_rule = "guangzhou-2016 art. 38(1); RFC 9421"


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
    default_rule = "RFC 9530"


class RequestMalformed(CallError):
    """A part of the request does not have the form of the interface."""

    code = "request_malformed"
    status = 400
    message_zh = "请求的“{part}”不符合接口格式，未被处理。请对照 /openapi.json 修改后重试。"
    message_en = (
        'The part "{part}" of the request does not have the form of the interface; it was not processed. '
        "Correct it as /openapi.json says and try again."
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
    default_rule = "guangzhou-2016 art. 35(1)"


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
    default_rule = "guangzhou-2016 art. 42(3)"


class GrantExpired(CallError):
    """The grant's last day is over."""

    code = "grant_expired"
    status = 403
    message_zh = "授权 {grant} 已于 {valid_until} 期满，本次调用未作处理。仍需使用的，请重新提出共享申请。"
    message_en = (
        "Grant {grant} ended on {valid_until}; nothing was answered. Apply again if it is still needed."
    )
    default_rule = "guangzhou-2016 art. 30(1)"


class GrantNotYetValid(CallError):
    """The grant's first day lies ahead."""

    code = "grant_not_yet_valid"
    status = 403
    message_zh = "授权 {grant} 自 {valid_from} 起生效，本次调用未作处理。请在生效之日起使用。"
    message_en = "Grant {grant} begins on {valid_from}; nothing was answered. Call from that day on."
    default_rule = "guangzhou-2016 art. 30(1)"


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
    default_rule = "guangzhou-2016 art. 45"


class IdentifierInvalid(CallError):
    """A number does not have its form, or its check digit is wrong."""

    code = "identifier_invalid"
    status = 422
    message_zh = "“{item}”的号码位数、字符或校验码不正确，未作处理。请对照证件核对后重新填写。"
    message_en = (
        'The number in "{item}" has a wrong length, character or check digit; nothing was answered. '
        "Compare it with the document and enter it again."
    )
    default_rule = "GB 11643, GB 32100"


class ClaimInvalid(CallError):
    """A claimed value does not have the form of its item."""

    code = "claim_invalid"
    status = 422
    message_zh = "所填“{item}”的值不符合该信息项的格式，未作比对。请按目录中该项的类型填写后重试。"
    message_en = (
        'The value claimed for "{item}" does not have the form of the item; nothing was compared. '
        "Enter it in the type the catalogue gives and try again."
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


class BatchError(ShuqiaoError):
    """A node's batch is refused whole."""


class BatchSignatureInvalid(BatchError):
    """The manifest is not signed by the node's key."""

    code = "batch_signature_invalid"
    status = 401
    message_zh = "批次的签名不能由该前置机登记的密钥验证，整批未接收。请检查前置机的密钥后重新发送。"
    message_en = (
        "The batch's signature can't be verified by the node's registered key; the whole batch was refused. "
        "Check the node's key and send it again."
    )
    default_rule = "guangzhou-2016 art. 38(1)"


class BatchWrongDepartment(BatchError):
    """The batch comes from a department that is not responsible for the resource."""

    code = "batch_wrong_department"
    status = 403
    message_zh = (
        "部门 {department} 不是资源 {resource} 的责任采集部门，整批未接收。请核对映射文件中的资源标识。"
    )
    message_en = (
        "Department {department} is not responsible for resource {resource}; the whole batch was refused. "
        "Check the resource id in the mapping file."
    )
    default_rule = "guangzhou-2016 art. 3(3)"


class BatchMalformed(BatchError):
    """The message or one of its parts can't be read or doesn't match the manifest."""

    code = "batch_malformed"
    status = 400
    message_zh = "批次的“{part}”不能读取或与清单不符，整批未接收。请检查前置机版本与映射文件后重新发送。"
    message_en = (
        'The part "{part}" of the batch can\'t be read or does not match its manifest; the whole batch was '
        "refused. Check the node's version and mapping file and send it again."
    )
    default_rule = "guangzhou-2016 art. 29(1)"


class BatchUnknownResource(BatchError):
    """The catalogue has no such resource in force."""

    code = "batch_unknown_resource"
    status = 404
    message_zh = "目录中没有在用的资源 {resource}，整批未接收。请核对映射文件中的资源标识。"
    message_en = (
        "The catalogue has no resource {resource} in force; the whole batch was refused. "
        "Check the resource id in the mapping file."
    )
    default_rule = "guangzhou-2016 art. 30(1)"


class BatchOutOfSequence(BatchError):
    """An earlier batch is missing."""

    code = "batch_out_of_sequence"
    status = 409
    message_zh = "批次序号应为 {expected}，收到 {sequence}，未接收。请从序号 {expected} 起重新发送。"
    message_en = (
        "Batch {expected} was expected and {sequence} came; it was not accepted. Send again from {expected}."
    )


class RowError(ShuqiaoError):
    """One row of a batch is refused; `item` names the item at fault."""

    status = 422


class ItemRequired(RowError):
    """A required item is empty."""

    code = "item_required"
    message_zh = "必填信息项“{item}”为空，该行未入库。请在来源系统补全后重新提供。"
    message_en = 'The required item "{item}" is empty; the row was not stored. Complete it at the source.'
    default_rule = "guangzhou-2016 art. 8(3)"


class ItemType(RowError):
    """A value does not have the item's type."""

    code = "item_type"
    message_zh = "信息项“{item}”的值不是目录规定的类型，该行未入库。请检查来源数据或映射文件。"
    message_en = (
        'The value of "{item}" does not have the type the catalogue gives; the row was not stored. '
        "Check the source or the mapping file."
    )
    default_rule = "guangzhou-2016 art. 29(1)"


class ItemCodeUnknown(RowError):
    """A value is not in the item's code list."""

    code = "item_code_unknown"
    message_zh = "信息项“{item}”的值不在代码表内，该行未入库。请改用目录中该项的代码。"
    message_en = (
        'The value of "{item}" is not in its code list; the row was not stored. '
        "Use a code the catalogue lists for the item."
    )
    default_rule = "guangzhou-2016 art. 29(1)"


class ItemTooLong(RowError):
    """A value exceeds the item's length."""

    code = "item_too_long"
    message_zh = "信息项“{item}”的值超过规定长度，该行未入库。请检查来源数据或映射文件。"
    message_en = (
        'The value of "{item}" exceeds its length; the row was not stored. '
        "Check the source or the mapping file."
    )
    default_rule = "guangzhou-2016 art. 29(1)"


class IdentifierCheckDigit(RowError):
    """A number fails its check."""

    code = "identifier_check_digit"
    message_zh = "信息项“{item}”的号码未通过位数、字符或校验码检查，该行未入库。请对照证件更正来源数据。"
    message_en = (
        'The number in "{item}" fails the check of its length, characters or check digit; the row was not '
        "stored. Correct it at the source from the document."
    )
    default_rule = "GB 11643, GB 32100"


class DateImpossible(RowError):
    """A date does not exist in the calendar or lies outside what can be."""

    code = "date_impossible"
    message_zh = "信息项“{item}”的日期不存在或不可能，该行未入库。请更正来源数据。"
    message_en = (
        'The date in "{item}" does not exist or can\'t be; the row was not stored. Correct it at the source.'
    )
    default_rule = "guangzhou-2016 art. 8(3)"


class DuplicateKey(RowError):
    """Two rows of one batch have the same record key."""

    code = "duplicate_key"
    message_zh = "同一批次内记录主键“{item}”重复，该行未入库。请在来源系统消除重复后重新提供。"
    message_en = (
        'The record key "{item}" occurs twice in the batch; the row was not stored. '
        "Remove the duplicate at the source."
    )
    default_rule = "guangzhou-2016 art. 8(3)"


class OfficeError(ShuqiaoError):
    """An act on the pages or the office API is refused."""


class PermissionDenied(OfficeError):
    """The person's roles do not allow the action."""

    code = "permission_denied"
    status = 403
    message_zh = "您的角色不能进行“{action}”，未作任何更改。确有需要的，请联系本部门的信息共享责任人。"
    message_en = (
        'Your role does not allow "{action}"; nothing was changed. '
        "If you need it, ask your department's person responsible for sharing."
    )
    default_rule = "guangzhou-2016 art. 8(2)"


class TransitionRefused(OfficeError):
    """The case is in a state that the action does not start from."""

    code = "transition_refused"
    status = 409
    message_zh = "{case} 现为“{state}”，不能进行“{action}”，未作任何更改。请刷新页面查看当前可办事项。"
    message_en = (
        '{case} is now "{state}"; "{action}" can\'t be done from there and nothing was changed. '
        "Reload the page to see what can be done."
    )
    default_rule = "guangzhou-2016 art. 35"


class FieldRequired(OfficeError):
    """A field that a rule requires is empty."""

    code = "field_required"
    status = 422
    message_zh = "“{field}”未填写，未能提交。请补全后再提交。"
    message_en = '"{field}" is empty; nothing was submitted. Fill it in and submit again.'
    default_rule = "guangzhou-2016 art. 35(1)"


class PeriodTooLong(OfficeError):
    """The period asked for or given exceeds what the rules allow."""

    code = "period_too_long"
    status = 422
    message_zh = "共享期限超过 {limit_months} 个月的上限，未能提交。请缩短期限；期满后可再次申请。"
    message_en = (
        "The period exceeds the limit of {limit_months} months; nothing was submitted. "
        "Shorten it; it can be asked for again when it ends."
    )
    default_rule = "guangzhou-2016 art. 30(1)"


class ReasonRequired(OfficeError):
    """The decision needs a written reason."""

    code = "reason_required"
    status = 422
    message_zh = "“{action}”须写明理由，未能提交。请填写理由后再提交。"
    message_en = '"{action}" needs a written reason; nothing was submitted. Give the reason and submit again.'
    default_rule = "guangzhou-2016 art. 35(1)"


class AlreadyDecided(OfficeError):
    """Somebody has decided the case already."""

    code = "already_decided"
    status = 409
    message_zh = "{case} 已经答复，不能再次答复，未作任何更改。请刷新页面查看答复结果。"
    message_en = "{case} has been decided already; nothing was changed. Reload the page to see the decision."
    default_rule = "guangzhou-2016 art. 35(1)"


class RegulationInvalid(OfficeError):
    """A regulation or calendar file can't be used; it is refused, never read as empty."""

    code = "regulation_invalid"
    status = 500
    message_zh = "规则文件 {file} 第 {line} 行有误：{reason}。该文件未被采用，请更正后重新装载。"
    message_en = (
        "The regulation file {file} is wrong in line {line}: {reason}. "
        "It was not taken; correct it and load it again."
    )


def _leaves(parent: type[ShuqiaoError]) -> list[type[ShuqiaoError]]:
    children = parent.__subclasses__()
    return [parent] if not children else [leaf for child in children for leaf in _leaves(child)]


BY_CODE: dict[str, type[ShuqiaoError]] = {leaf.code: leaf for leaf in _leaves(ShuqiaoError)}
"""Every error class by its stable code."""


def rule_of(code: str) -> str | None:
    """The citation an error code rests on unless a decision names a better one."""
    return BY_CODE[code].default_rule


def explain(code: str, fields: dict[str, str], language: str = "zh") -> str:
    """The message of a code met in a receipt, a log or another process."""
    return BY_CODE[code](**fields).explain(language)
