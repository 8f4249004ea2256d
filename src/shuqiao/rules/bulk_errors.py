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


class FeedRests(CallError):
    """The consumer has ended its feed on its own pages and wants none until it begins one anew."""

    code = "feed_rests"
    status = 403
    message_zh = (
        "本单位已结束此项订阅，未重新开始前不再给出数据。"
        "请在“订阅与回执”页面重新开始，或在前置机上执行重新订阅命令。"
    )
    message_en = (
        "Your department has ended this feed; none is given until it is begun anew. Begin it on the page of "
        "subscriptions, or with the node's command."
    )


class DeletionUnfit(CallError):
    """A receipt of deletion that can't be read, leaves something out, or isn't signed by the node."""

    code = "deletion_unfit"
    status = 422
    message_zh = (
        "召回 {recall} 的删除回执未受理。请逐项列明召回的全部副本后重新签署；"
        "由前置机签署的，须为本单位在用前置机的有效签名。"
    )
    message_en = (
        "The receipt for recall {recall} was not accepted: it has to name every copy that is recalled, and a "
        "node's signature has to be that of the department's node in use."
    )


class RecipientKeyUnfit(CallError):
    """What was given as the recipient's key is no X25519 public key."""

    code = "recipient_key_unfit"
    status = 422
    message_zh = (
        "获取方公钥不能用于端到端加密，申请未受理。请给出 X25519 公钥（SubjectPublicKeyInfo 的 base64）。"
        "客户端命令带 --recipient-key 时会自动生成。"
    )
    message_en = (
        "The recipient's key is none to which a copy can be sealed; nothing was begun. Give an X25519 public "
        "key (base64 of its SubjectPublicKeyInfo); the client makes one where it is told --recipient-key."
    )


class SealingOnPages(CallError):
    """A copy sealed to its recipient was asked for on the pages, which can't open one."""

    code = "sealing_on_pages"
    status = 422
    message_zh = (
        "端到端加密的副本须由系统经接口取用，在获取方自己的机器上打开；网页下载打不开它，申请未受理。"
        "请由系统申请，或不带获取方公钥重新申请。"
    )
    message_en = (
        "A copy sealed to its recipient is fetched by a system and opened on the recipient's own machine; "
        "what is downloaded on the pages can't be opened there, so nothing was begun. "
        "Ask from a system, or without a recipient's key."
    )


class SealingUnsupported(CallError):
    """The platform writes by the national suite, for which there is no sealing to recipients."""

    code = "sealing_unsupported"
    status = 422
    message_zh = (
        "本平台按国密套件（SM2、SM3、SM4）运行，端到端加密目前只有国际算法（X25519、AES-256-GCM），"
        "不以其代替国密算法，申请未受理。请不带获取方公钥重新申请，或向平台管理机构咨询。"
    )
    message_en = (
        "This platform writes by the national suite (SM2, SM3, SM4), and copies can be sealed to a recipient "
        "by the international algorithms (X25519, AES-256-GCM) alone; nothing was begun. "
        "Ask without a recipient's key, or ask the platform agency."
    )
