"""Refusals of what people do on the pages of control. The tree is in `rules.errors`."""

from __future__ import annotations

from shuqiao.rules.error_base import ShuqiaoError


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
    matter = "persons_in_charge"


class TransitionRefused(OfficeError):
    """The case is in a state that the action does not start from."""

    code = "transition_refused"
    status = 409
    message_zh = "{case} 现为“{state}”，不能进行“{action}”，未作任何更改。请刷新页面查看当前可办事项。"
    message_en = (
        '{case} is now "{state}"; "{action}" can\'t be done from there and nothing was changed. '
        "Reload the page to see what can be done."
    )
    matter = "first_request"


class FieldRequired(OfficeError):
    """A field that a rule requires is empty."""

    code = "field_required"
    status = 422
    message_zh = "“{field}”未填写，未能提交。请补全后再提交。"
    message_en = '"{field}" is empty; nothing was submitted. Fill it in and submit again.'
    matter = "first_request"


class PeriodTooLong(OfficeError):
    """The period asked for or given exceeds what the rules allow."""

    code = "period_too_long"
    status = 422
    message_zh = "共享期限超过 {limit_months} 个月的上限，未能提交。请缩短期限；期满后可再次申请。"
    message_en = (
        "The period exceeds the limit of {limit_months} months; nothing was submitted. "
        "Shorten it; it can be asked for again when it ends."
    )
    matter = "sharing_period"


class PeriodEndsEarly(OfficeError):
    """The last day of a period lies before its first, or before today."""

    code = "period_ends_early"
    status = 422
    message_zh = "共享期限的最后一天须不早于 {earliest}，未能提交。请改填更晚的日期。"
    message_en = "The period must not end before {earliest}; nothing was submitted. Give a later last day."
    matter = "sharing_period"


class ReasonRequired(OfficeError):
    """The decision needs a written reason."""

    code = "reason_required"
    status = 422
    message_zh = "“{action}”须写明理由，未能提交。请填写理由后再提交。"
    message_en = '"{action}" needs a written reason; nothing was submitted. Give the reason and submit again.'
    matter = "first_request"


class AlreadyDecided(OfficeError):
    """Somebody has decided the case already."""

    code = "already_decided"
    status = 409
    message_zh = "{case} 已经答复，不能再次答复，未作任何更改。请刷新页面查看答复结果。"
    message_en = "{case} has been decided already; nothing was changed. Reload the page to see the decision."
    matter = "first_request"


class SecondPersonRequired(OfficeError):
    """Somebody confirms what they have proposed themselves, or nothing is proposed."""

    code = "second_person_required"
    status = 409
    message_zh = (
        "“{action}”须由提出意见以外的另一人办理，未作任何更改。请由本部门分管领导或其他有权人员办理。"
    )
    message_en = (
        '"{action}" must be done by somebody other than the one who proposed it; nothing was changed. '
        "Let the leader in charge or another person of your department do it."
    )
    matter = "persons_in_charge"


class RegulationInvalid(OfficeError):
    """A regulation or calendar file can't be used; it is refused, never read as empty."""

    code = "regulation_invalid"
    status = 500
    message_zh = "规则文件 {file} 第 {line} 行有误：{reason}。该文件未被采用，请更正后重新装载。"
    message_en = (
        "The regulation file {file} is wrong in line {line}: {reason}. "
        "It was not taken; correct it and load it again."
    )


class ShareTypeForced(OfficeError):
    """A ruling, the base items or a relation demands another share type."""

    code = "share_type_forced"
    status = 422
    message_zh = "“{name}”须为“{type}”，未作任何更改。请改选后再提交。"
    message_en = '"{name}" must be "{type}"; nothing was changed. Choose that and submit again.'


class GroundRankRefused(OfficeError):
    """The ground is not of a rank that may ground this share type."""

    code = "ground_rank_refused"
    status = 422
    message_zh = "“{type}”须以下列效力层级的规定为依据：{ranks}。未作任何更改，请写明这样的依据，或改选类型。"
    message_en = (
        '"{type}" needs a ground of one of these ranks: {ranks}. Nothing was changed. '
        "Give such a ground, or choose another type."
    )


class DepartmentsRefused(OfficeError):
    """Departments are named for a type that is not shared on conditions."""

    code = "departments_refused"
    status = 422
    message_zh = "“{type}”不能限定部门，未作任何更改。请去掉所列部门，或改选“{middle}”。"
    message_en = (
        '"{type}" can\'t be confined to departments; nothing was changed. '
        'Leave them out, or choose "{middle}".'
    )


class EntryChanged(OfficeError):
    """Somebody changed the entry after the form was opened."""

    code = "entry_changed"
    status = 409
    message_zh = "条目 {entry} 在您填写期间已被他人更改，未作任何更改。请刷新页面，看过新内容后再改。"
    message_en = (
        "Entry {entry} was changed by somebody else while you wrote; nothing was changed. "
        "Reload the page and look at it again."
    )
    matter = "catalogue_entry"


class NotShared(OfficeError):
    """What is asked for is not shared, not with this department, or not in this mode."""

    code = "not_shared"
    status = 409
    message_zh = "所申请的信息项（{items}）不提供给本部门，未能提交。请去掉这些项；有异议的，可提请争议处理。"
    message_en = (
        "These items are not available to your department: {items}; nothing was submitted. "
        "Leave them out; if you disagree, open a dispute."
    )


class EntryPeriodExceeded(OfficeError):
    """A grant would last longer than the entry it is for is shared."""

    code = "entry_period_exceeded"
    status = 422
    message_zh = (
        "目录条目的共享期限至 {ends}，授权不能晚于该日，未作任何更改。请缩短期限，或先延长条目的共享期限。"
    )
    message_en = (
        "The entry is shared until {ends} and no grant lasts longer; nothing was changed. "
        "Choose an earlier day, or have the entry prolonged first."
    )
    matter = "sharing_period"


class PassingOnRefused(OfficeError):
    """The regulation knows no consent to passing on or publishing obtained information."""

    code = "passing_on_refused"
    status = 403
    message_zh = "现行规则不允许将共享获得的信息对外提供或发布，未作任何更改。请仅在本部门履职范围内使用。"
    message_en = (
        "The rules in force do not allow obtained information to be passed on or published; "
        "nothing was changed. Use it only for your department's own duties."
    )
    matter = "passing_on"


class EntryBeingChanged(OfficeError):
    """An entry has an open case already: a second one can't begin beside it."""

    code = "entry_being_changed"
    status = 409
    message_zh = (
        "条目 {entry} 已有在办的编制事项 {case}，未作任何更改。请在该事项中办理，或待其办结后再开始。"
    )
    message_en = (
        "Entry {entry} is being changed by case {case} already; nothing was changed. "
        "Go on there, or begin when it has ended."
    )
    matter = "catalogue_entry"


class DraftChanged(OfficeError):
    """Somebody saved the draft after this person read it: the second of two is told, nothing is lost."""

    code = "draft_changed"
    status = 409
    message_zh = (
        "{case} 已在您填写期间被他人保存（现为第 {revision} 次保存），您的内容未保存。"
        "请打开最新内容，对照后再填写。"
    )
    message_en = (
        "{case} was saved by somebody else while you wrote (it is now at save {revision}); "
        "yours was not saved. Open the latest content, compare and write again."
    )
    matter = "catalogue_entry"


class CorrectionTooWide(OfficeError):
    """A correction of wording touches what only the full procedure may change."""

    code = "correction_too_wide"
    status = 422
    message_zh = (
        "文字更正不能改动：{fields}。目录内容的增减和责任部门的变化须走完整程序，未作任何更改。"
        "请改为“变更条目”。"
    )
    message_en = (
        "A correction of wording can't touch: {fields}. Adding or removing content and changing the "
        "responsible department take the full procedure; nothing was changed. "
        "Begin a change of the entry instead."
    )
    matter = "catalogue_entry"


class MarksMissing(OfficeError):
    """A review can't pass while an item has no mark, or one that says return."""

    code = "marks_missing"
    status = 409
    message_zh = (
        "{case} 尚有 {unmarked} 个信息项未逐项审核、{returned} 处被标为退回，不能通过。"
        "请逐项审核，或退回修改。"
    )
    message_en = (
        "{case}: {unmarked} items have no mark and {returned} places are marked for return, "
        "so it can't pass. Look at each item, or return it."
    )
    matter = "catalogue_entry"


class RowsTooMany(OfficeError):
    """More cases are named than are dealt with at once."""

    code = "rows_too_many"
    status = 422
    message_zh = "一次最多办理 {limit} 件，未作任何更改。请分批办理。"
    message_en = "At most {limit} at once; nothing was changed. Do them in parts."
