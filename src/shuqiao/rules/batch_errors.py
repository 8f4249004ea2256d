"""Refusals of batches that nodes send, and of single rows of them. The tree is in `rules.errors`."""

from __future__ import annotations

from shuqiao.rules.error_base import ShuqiaoError


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
    matter = "security"


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
    matter = "one_source"


class BatchMalformed(BatchError):
    """The message or one of its parts can't be read or doesn't match the manifest."""

    code = "batch_malformed"
    status = 400
    message_zh = "批次的“{part}”不能读取或与清单不符，整批未接收。请检查前置机版本与映射文件后重新发送。"
    message_en = (
        'The part "{part}" of the batch can\'t be read or does not match its manifest; the whole batch was '
        "refused. Check the node's version and mapping file and send it again."
    )
    matter = "standards"


class BatchUnknownResource(BatchError):
    """The catalogue has no such resource in force."""

    code = "batch_unknown_resource"
    status = 404
    message_zh = "目录中没有在用的资源 {resource}，整批未接收。请核对映射文件中的资源标识。"
    message_en = (
        "The catalogue has no resource {resource} in force; the whole batch was refused. "
        "Check the resource id in the mapping file."
    )
    matter = "catalogue_entry"


class BatchNotCleared(BatchError):
    """Nobody has signed the reviews that must stand before data are provided.

    Each review rests on an article of its own: whoever refuses cites those that are missing.
    """

    code = "batch_not_cleared"
    status = 403
    message_zh = (
        "资源 {resource} 的映射 {mapping} 尚无有效的保密审查或核准，整批未接收，数据留在前置机。"
        "请本部门责任人在“交换监控”签署，之后自动续传。"
    )
    message_en = (
        "Nobody has signed the reviews of mapping {mapping} of resource {resource} that must stand before "
        "data are provided; the whole batch was refused and stays at the node. Let the person responsible "
        "sign on the page of the exchange: it then comes by itself."
    )


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
    matter = "data_quality"


class ItemType(RowError):
    """A value does not have the item's type."""

    code = "item_type"
    message_zh = "信息项“{item}”的值不是目录规定的类型，该行未入库。请检查来源数据或映射文件。"
    message_en = (
        'The value of "{item}" does not have the type the catalogue gives; the row was not stored. '
        "Check the source or the mapping file."
    )
    matter = "standards"


class TextUnreadable(RowError):
    """The bytes of a value are no text in the encoding of its source."""

    code = "text_unreadable"
    message_zh = "信息项“{item}”的内容不是有效文字（编码损坏），该行未入库。请在来源系统更正该值或其编码。"
    message_en = (
        'The value of "{item}" is no valid text (its encoding is damaged); the row was not stored. '
        "Correct the value or its encoding at the source."
    )
    matter = "data_quality"


class ItemCodeUnknown(RowError):
    """A value is not in the item's code list."""

    code = "item_code_unknown"
    message_zh = "信息项“{item}”的值不在代码表内，该行未入库。请改用目录中该项的代码。"
    message_en = (
        'The value of "{item}" is not in its code list; the row was not stored. '
        "Use a code the catalogue lists for the item."
    )
    matter = "standards"


class ItemTooLong(RowError):
    """A value exceeds the item's length."""

    code = "item_too_long"
    message_zh = "信息项“{item}”的值超过规定长度，该行未入库。请检查来源数据或映射文件。"
    message_en = (
        'The value of "{item}" exceeds its length; the row was not stored. '
        "Check the source or the mapping file."
    )
    matter = "standards"


class ItemNotAllowed(RowError):
    """A value stands where another item of the row does not allow one."""

    code = "item_not_allowed"
    message_zh = "按该行其他信息项的取值，信息项“{item}”应为空，该行未入库。请更正来源数据。"
    message_en = (
        'By the other items of the row "{item}" must be empty; the row was not stored. '
        "Correct it at the source."
    )
    matter = "data_quality"


class IdentifierCheckDigit(RowError):
    """A number fails its check."""

    code = "identifier_check_digit"
    message_zh = "信息项“{item}”的号码未通过位数、字符或校验码检查，该行未入库。请对照证件更正来源数据。"
    message_en = (
        'The number in "{item}" fails the check of its length, characters or check digit; the row was not '
        "stored. Correct it at the source from the document."
    )
    standard = "GB 11643, GB 32100"


class DateImpossible(RowError):
    """A date does not exist in the calendar or lies outside what can be."""

    code = "date_impossible"
    message_zh = "信息项“{item}”的日期不存在或不可能，该行未入库。请更正来源数据。"
    message_en = (
        'The date in "{item}" does not exist or can\'t be; the row was not stored. Correct it at the source.'
    )
    matter = "data_quality"


class DuplicateKey(RowError):
    """Two rows of one batch have the same record key."""

    code = "duplicate_key"
    message_zh = "同一批次内记录主键“{item}”重复，该行未入库。请在来源系统消除重复后重新提供。"
    message_en = (
        'The record key "{item}" occurs twice in the batch; the row was not stored. '
        "Remove the duplicate at the source."
    )
    matter = "data_quality"


class RowRefused(RowError):
    """A row by itself made the hub refuse its batch, so the node sent it without its values."""

    code = "row_refused"
    message_zh = (
        "平台因该行拒收整批，前置机已将该行单独隔开，未入库（主键“{item}”）。"
        "请检查来源数据；该行变更后会重新发送。"
    )
    message_en = (
        'The hub refused the batch because of this row, so the node set it apart (key "{item}"); it was not '
        "stored. Check it at the source: it is sent again when it changes."
    )
    matter = "data_quality"


class SourceStructureChanged(RowError):
    """A column of the source's table is gone, and the department chose to hold back its rows until then."""

    code = "source_structure_changed"
    message_zh = "来源表中对应“{item}”的列已不存在，按约定该行未入库。请恢复该列，或修改前置机的映射文件。"
    message_en = (
        'The column of the source\'s table for "{item}" is gone; as agreed the row was not stored. '
        "Bring the column back, or adapt the node's mapping file."
    )
    matter = "data_quality"


class SecrecyMarked(RowError):
    """A value bears a mark of secrecy, by the rules of screening."""

    code = "secrecy_marked"
    message_zh = (
        "信息项“{item}”的内容带有涉密标志，该行未入库，留在前置机。请部门责任人在前置机核对："
        "确属误判的放行，否则在来源系统更正。"
    )
    message_en = (
        'The content of "{item}" bears a mark of secrecy; the row was not stored and stays at the node. Let '
        "the person responsible look at it there: release it where the mark misleads, else correct it at the "
        "source."
    )
    matter = "state_secrets"


class PersonalUndeclared(RowError):
    """A value holds a personal number in an item that isn't declared to."""

    code = "personal_undeclared"
    message_zh = (
        "信息项“{item}”未登记含此类个人信息，该行未入库，留在前置机。请部门责任人在前置机核对："
        "确属误判的放行，否则在来源系统更正，或在目录中登记该项。"
    )
    message_en = (
        '"{item}" is not declared to hold personal data of this kind; the row was not stored and stays at '
        "the node. Let the person responsible look at it there: release it where the rule misleads, else "
        "correct it at the source, or declare the item in the catalogue."
    )
    matter = "data_quality"
