"""Words for the stable codes of audit events and outcomes."""

from collections.abc import Iterator, Mapping

from shuqiao.control.alarms.pages import KINDS
from shuqiao.control.alarms.pages import STATES as ALARM_STATES
from shuqiao.control.enrolments.page import STATES as ENROLMENT_STATES
from shuqiao.control.interconnection.words import END_WORDS, STEP_WORDS, WAY_WORDS
from shuqiao.control.operations.fact_words import FACTS
from shuqiao.control.operations.refusal_words import REFUSALS
from shuqiao.control.othersystems.pages import STATE_WORDS
from shuqiao.control.regulations.current import readable, regulation
from shuqiao.control.regulations.files import regulation_ids
from shuqiao.control.texts import Text
from shuqiao.rules.regulation import Regulation

__all__ = ["EVENTS", "FACTS", "OUTCOMES", "REFUSALS", "label", "outcome_label"]

EVENTS = {
    "catalogue_change": Text("目录变更", "Change for the catalogue"),
    "data_change": Text("数据变化与更新", "Change of data"),
    "slow_update": Text("特殊情况更新", "Slower updating"),
    "force_majeure": Text("不可抗力", "Force majeure"),
    "update_told": Text("通知更新", "Update told"),
    "update_confirmed": Text("确认更新", "Update confirmed"),
    "cycle_missed": Text("未按周期更新", "Cycle missed"),
    "copies_recalled": Text("召回副本", "Copies called back"),
    "copies_deleted": Text("删除副本回执", "Receipt of deletion"),
    "recall_overdue": Text("召回逾期", "Recall overdue"),
    "feed_ended": Text("结束或重新开始订阅", "Feed ended or begun anew"),
    "catalogue_maintained": Text("目录全面维护", "Full maintenance of a catalogue"),
    "entry_received": Text("接口报入条目", "Entry received by interface"),
    "entry_refused": Text("拒收接口条目", "Entry by interface refused"),
    "standard_published": Text("发布标准", "Standard published"),
    "entry_prolonged": Text("延长目录条目", "Entry prolonged"),
    "entry_ended": Text("目录条目期满", "Entry ended"),
    "retention_set": Text("审计保存期限设定", "Retention of the log set"),
    "bodies_pruned": Text("到期审计内容清除", "Text of old entries removed"),
    "case_passed": Text("转用新规则", "Passed to the new rules"),
    "verify": Text("核验", "Verification"),
    "query": Text("查询", "Query"),
    "call_refused": Text("拒绝调用", "Call refused"),
    "guessing_suspected": Text("疑似试探比对", "Guessing suspected"),
    "session_agreed": Text("商定会话密钥", "Session key agreed"),
    "session_signed": Text("签署会话的调用清单", "Calls of a session signed"),
    "delivery_shown": Text("查看当时提供的内容", "What was delivered was shown"),
    "evidence_given": Text("出具证据", "Evidence given"),
    "alarm_raised": Text("用量告警", "Alarm over use"),
    "alarm_asked": Text("请部门说明用途", "Explanation asked for"),
    "alarm_explained": Text("说明用途", "Use explained"),
    "alarm_judged": Text("研判告警", "Alarm judged"),
    "request_submitted": Text("提交申请", "Request submitted"),
    "request_decided": Text("答复申请", "Request answered"),
    "request_escalated": Text("转入协商", "Moved to negotiation"),
    "request_disputed": Text("提请协商", "Negotiation asked for"),
    "request_withdrawn": Text("撤回申请", "Request withdrawn"),
    "grant_issued": Text("授权", "Grant issued"),
    "grant_revoked": Text("停用授权", "Grant revoked"),
    "grant_expired": Text("授权期满", "Grant expired"),
    "grant_suspended": Text("暂停授权", "Grant suspended"),
    "grant_resumed": Text("恢复授权", "Grant resumed"),
    "grant_renewed": Text("授权续期", "Grant renewed"),
    "grant_opened": Text("授权开通", "Grant in force"),
    "offline_handed_over": Text("离线交付", "Handed over offline"),
    "exchange_system_registered": Text("登记其他交换系统", "Other exchange system registered"),
    "exchange_system_refused": Text("拒绝新建交换系统", "New exchange system refused"),
    "exchange_system_step": Text("交换系统迁移进展", "Step of moving a system"),
    "system_step": Text("业务系统接入进展", "Step of a business system"),
    "system_tested": Text("业务系统测试通过", "Business system tested"),
    "interconnection_certified": Text("出具互联共享测试证明", "Interconnection certified"),
    "interconnection_ended": Text("互联共享测试证明终止", "Certificate of interconnection ended"),
    "request_step": Text("申请进展", "Step of a request"),
    "interface_offered": Text("登记接口描述", "Interface registered"),
    "file_registered": Text("登记文件", "File registered"),
    "file_withdrawn": Text("撤下文件", "File withdrawn"),
    "interface_called": Text("转发接口调用", "Interface called"),
    "interface_answered": Text("接口应答", "Interface answered"),
    "bulk_asked": Text("申请副本", "Copy asked for"),
    "bulk_prepared": Text("准备副本", "Copy prepared"),
    "bulk_delivered": Text("交付副本", "Copy delivered"),
    "feed_subscribed": Text("订阅变更", "Changes subscribed to"),
    "feed_taken": Text("确认收取变更", "Changes taken"),
    "browse_viewed": Text("在线浏览", "Browsed online"),
    "batch_merged": Text("入库", "Batch merged"),
    "batch_refused": Text("拒收批次", "Batch refused"),
    "signed_in": Text("登录", "Signed in"),
    "sign_in_refused": Text("登录被拒", "Sign-in refused"),
    "account_changed": Text("账号变更", "Account changed"),
    "calendar_changed": Text("调整工作日历", "Calendar changed"),
    "clock_run_out": Text("期限届满", "Term run out"),
    "sample_time_set": Text("拨动示例时间", "Sample time moved"),
    "due_date_moved": Text("期限变动", "Due date moved"),
    "dispute_opened": Text("提出争议", "Dispute opened"),
    "dispute_step": Text("争议处理", "Step of a dispute"),
    "ruling_applied": Text("提请裁定", "Ruling applied for"),
    "ruling_recorded": Text("登记裁定", "Ruling recorded"),
    "project_barred": Text("限制项目申请", "IT projects barred"),
    "review_collected": Text("汇总待会审争议", "Disputes collected for review"),
    "review_convened": Text("召集联合会审", "Joint review convened"),
    "document_downloaded": Text("下载文书", "Document downloaded"),
    "audit_searched": Text("查审计", "Audit searched"),
    "entry_published": Text("发布目录条目", "Entry published"),
    "search_saved": Text("保存检索", "Search kept"),
    "entry_followed": Text("订阅条目", "Entry followed"),
    "entry_withdrawn": Text("撤出目录条目", "Entry taken out"),
    "compilation_step": Text("目录编制", "Step of compiling"),
    "service_offered": Text("提供条目数据", "Data of an entry offered"),
    "department_enrolled": Text("单位接入", "Department enrolled"),
    "key_enrolment_asked": Text("登记系统密钥", "Key to enrol"),
    "key_enrolment_decided": Text("审核系统密钥", "Decision on a key"),
    "application_retired": Text("系统停用", "System retired"),
    "application_enrolled": Text("应用接入", "Application enrolled"),
    "share_type_set": Text("选定共享类型", "Share type chosen"),
    "outside_step": Text("目录外信息协商", "Outside the catalogue"),
    "publication_step": Text("对外提供或发布", "Passing on or publishing"),
    "project_step": Text("专项", "Special project"),
    "cross_application_registered": Text("登记跨部门应用", "Cross-department application registered"),
    "cross_application_ended": Text("跨部门应用停用", "Cross-department application ended"),
    "vault_searched": Text("按姓名或编号查找", "Searched by name or number"),
    "claim_made": Text("答复来源冲突", "Conflict of sources answered"),
    "claim_settled": Text("来源冲突办结", "Conflict of sources settled"),
    "lead_source_recorded": Text("记录来源决定", "Source of a datum recorded"),
    "collection_planned": Text("登记采集计划", "Collection planned"),
    "collection_withdrawn": Text("撤回采集计划", "Planned collection withdrawn"),
    "form_checked": Text("检查表单", "Form checked"),
    "workbook_uploaded": Text("目录工作簿", "Workbook of the catalogue"),
    "files_listed": Text("列出文件", "Files listed"),
    "file_delivered": Text("交付文件", "File delivered"),
    "held_asked": Text("询问责任部门前置机", "Asked of the department's node"),
    "node_log_compared": Text("前置机日志对账", "Log of a node compared"),
    "volume_stated": Text("存储卷加密声明", "Statement on volume encryption"),
    "node_silent": Text("前置机失联", "Node silent"),
    "node_heard": Text("前置机恢复", "Node heard again"),
    "node_ordered": Text("调整前置机作业", "Asked of a node"),
    "reconciliation_asked": Text("发起对账", "Reconciliation asked for"),
    "reconciliation_ended": Text("对账结果", "Result of a reconciliation"),
    "reconciliation_mended": Text("重新装载差异段", "Ranges loaded again"),
    "node_token_made": Text("签发接入令牌", "Token for a node made"),
    "node_token_withdrawn": Text("撤回接入令牌", "Token for a node withdrawn"),
    "node_enrolment_asked": Text("前置机申请接入", "Node asks to be admitted"),
    "node_enrolment_refused": Text("前置机接入被拒", "Node not admitted"),
    "node_revoked": Text("撤销前置机", "Node revoked"),
    "clearance_signed": Text("签署提供前审查", "Review signed"),
    "clearance_voided": Text("提供前审查失效", "Review void"),
    "screening_set": Text("筛查规则设定", "Rules of screening set"),
    "rows_held": Text("筛查扣留数据", "Rows held by screening"),
    "rows_released": Text("放行扣留数据", "Held rows released"),
}
OUTCOMES = {
    "made": Text("已签发", "Made"),
    "used": Text("令牌已使用", "Token used before"),
    "saved": Text("已保存", "Kept"),
    "forgotten": Text("已删除", "Dropped"),
    "followed": Text("已订阅", "Followed"),
    "left": Text("已取消订阅", "No longer followed"),
    "change_registered": Text("已登记", "Registered"),
    "data_change_registered": Text("已登记", "Registered"),
    "data_updated": Text("已由批次更新", "Brought by a batch"),
    "update_stated": Text("责任部门说明已更新", "Stated by the provider"),
    "slow_update_asked": Text("已申请", "Asked for"),
    "slow_update_approved": Text("已批准", "Approved"),
    "slow_update_refused": Text("未批准", "Not approved"),
    "slow_update_ended": Text("已结束", "Ended"),
    "hindrance_recorded": Text("已登记", "Recorded"),
    "hindrance_ended": Text("已恢复提供", "Provided again"),
    "told": Text("已通知", "Told"),
    "copy_updated": Text("已比对更新", "Compared and updated"),
    "confirmed_by_receipt": Text("由前置机回执确认", "Confirmed by the node's receipt"),
    "cycle_missed": Text("未按期", "Missed"),
    "recalled": Text("已召回", "Called back"),
    "deleted": Text("已删除并签署", "Deleted and signed for"),
    "deletion_stated": Text("具名人员已说明删除", "Deletion stated by a named person"),
    "overdue": Text("已逾期", "Overdue"),
    "feed_rests": Text("已结束，不再给出", "Ended; none is given"),
    "feed_begins_anew": Text("重新开始", "Begins anew"),
    "cycle_missed_hindered": Text("未按期，因不可抗力", "Missed by force majeure"),
    "change_updated": Text("已更新", "Brought up to date"),
    "change_closed": Text("已说明办结", "Closed with a reason"),
    "signed": Text("已签署", "Signed"),
    "created": Text("新建草稿", "Draft created"),
    "changed": Text("更新草稿", "Draft changed"),
    "unchanged": Text("内容未变", "Unchanged"),
    "loaded": Text("已装载", "Loaded"),
    "answered": Text("已应答", "Answered"),
    "accepted": Text("成功", "Accepted"),
    "refused": Text("不予共享", "Refused"),
    "submitted": Text("已提交", "Submitted"),
    "approved": Text("全部同意", "Approved"),
    "partly_approved": Text("部分同意", "Partly approved"),
    "negotiation": Text("转入协商", "In negotiation"),
    "withdrawn": Text("已撤回", "Withdrawn"),
    "active": Text("生效", "In force"),
    "revoked": Text("已停用", "Revoked"),
    "expired": Text("已期满", "Expired"),
    "merged": Text("已入库", "Merged"),
    "published": Text("已发布", "Published"),
    "enrolled": Text("已接入", "Enrolled"),
    "working": Text("改为工作日", "Made a working day"),
    "off": Text("改为非工作日", "Made a day off"),
    "announced": Text("恢复公布的安排", "As announced again"),
    "year_opened": Text("增加暂定年份", "Provisional year added"),
    "year_announced": Text("年份已公布", "Year announced"),
    "email_set": Text("已设邮箱", "Address set"),
    "email_removed": Text("已撤邮箱", "Address removed"),
    "over": Text("已逾期", "Over"),
    "moved": Text("已重新计算", "Counted anew"),
    "searched": Text("已查询", "Searched"),
    "match": Text("一致", "Match"),
    "no_match": Text("不一致", "No match"),
    "asked": Text("已受理", "Asked"),
    "prepared": Text("已备妥", "Prepared"),
    "registered": Text("已登记", "Registered"),
    "replaced": Text("已更换", "Replaced"),
    "delivering": Text("开始交付", "Delivery begun"),
    "subscribed": Text("已订阅", "Subscribed"),
    "taken": Text("已收取", "Taken"),
    "shown": Text("已显示", "Shown"),
    "copy_too_large": Text("超出表格容量", "Too large for a workbook"),
    "grant_ended": Text("授权已不可用", "Grant not usable any more"),
    "grant_changing": Text("授权变动中", "Grants were changing"),
    "bulk_failed": Text("准备失败", "Preparation failed"),
    "suspected": Text("有嫌疑", "Suspected"),
    "planned": Text("已登记", "Registered"),
    "checked": Text("已检查", "Checked"),
    "uploaded": Text("已上传", "Uploaded"),
    "taking": Text("纳入草稿", "Taken over into drafts"),
    "discarded": Text("已放弃", "Discarded"),
    "ended": Text("已停用", "Ended"),
    "follows_entry": Text("随条目确定", "As the entry's"),
    "given": Text("已出具", "Given"),
    "in_use": Text("使用中", "In use"),
    "new_system_forbidden": Text("规则不许新建", "New systems are forbidden"),
    "offered": Text("已登记", "Registered"),
    "pruned": Text("已清除", "Removed"),
    "set": Text("已设定", "Set"),
    "table": Text("平台数据表", "Table of the platform"),
    "node": Text("数据留存部门", "Data kept by the department"),
    "listed": Text("已列出", "Listed"),
    "silent": Text("失联", "Silent"),
    "heard": Text("已恢复", "Heard again"),
    "schema": Text("目录结构已变", "Structure changed"),
    "paused": Text("暂停读取", "To rest"),
    "let_through": Text("放行移出", "Removals let through"),
    "differs": Text("有差异", "Differs"),
    "mended": Text("已重新发送", "Sent again"),
    "resumed": Text("恢复读取", "To go on"),
    "reloaded": Text("重新全量装载", "To load in full"),
    "confirmed": Text("全部确认", "All confirmed"),
    "unconfirmed": Text("部分未能确认", "Some not confirmed"),
}
CLAIMS = {
    "explained": Text("已说明为另一数据", "Explained as another datum"),
    "proposed": Text("待对方同意", "Awaiting the other side"),
    "agreed": Text("已同意", "Agreed"),
    "declined": Text("对方不同意", "Declined"),
    "open": Text("协调中", "In co-ordination"),
    "decided": Text("已确定来源", "Source decided"),
}
VOLUMES = {
    "encrypted": Text("已加密", "Encrypted"),
    "declared": Text("声明已加密", "Declared encrypted"),
    "memory": Text("仅在内存", "In memory only"),
    "open": Text("未加密", "Not encrypted"),
    "unknown": Text("未能确定", "Not known"),
}
ENTRIES = {
    "published": Text("在目录中", "In the catalogue"),
    "withdrawn": Text("已撤出目录", "Taken out of the catalogue"),
}
# Events whose outcomes have words of their own, where the same code means something else elsewhere.
OUTCOMES_OF: Mapping[str, Mapping[str, Text]] = {
    "alarm_raised": KINDS,
    **dict.fromkeys(("alarm_asked", "alarm_explained", "alarm_judged"), ALARM_STATES),
    **dict.fromkeys(("claim_made", "claim_settled", "lead_source_recorded"), CLAIMS),
    **dict.fromkeys(("entry_prolonged", "entry_ended"), ENTRIES),
    **dict.fromkeys(("exchange_system_registered", "exchange_system_step"), STATE_WORDS),
    "system_step": STEP_WORDS,
    "system_tested": WAY_WORDS,
    "interconnection_certified": {"issued": Text("已出具", "Issued")},
    "interconnection_ended": END_WORDS,
    **dict.fromkeys(("key_enrolment_asked", "key_enrolment_decided"), ENROLMENT_STATES),
    "volume_stated": VOLUMES,
    "node_log_compared": {
        "agrees": Text("相符", "They agree"),
        "differs": Text("不符", "They differ"),
    },
    "reconciliation_asked": {"asked": Text("已发起", "Asked for")},
    "reconciliation_ended": {
        "agreed": Text("一致", "Agrees"),
        "withdrawn": Text("已取消", "Called off"),
        "failed": Text("未完成", "Not finished"),
    },
    "reconciliation_mended": {"asked": Text("已请前置机重新发送", "The node is asked")},
    "rows_held": {"held": Text("留在前置机", "Held at the node"), "refused": Text("平台拒收", "Refused")},
    "rows_released": {"released": Text("已放行", "Released")},
    "session_agreed": {"agreed": Text("已商定", "Agreed")},
    "sign_in_refused": {"refused": Text("未通过", "Refused")},
}
# Events that say the state of a case, and the procedure that the state is one of.
PROCEDURES = {
    **dict.fromkeys(("request_submitted", "request_decided", "request_step", "request_withdrawn"), "request"),
    **dict.fromkeys(("request_escalated", "request_disputed"), "request"),
    **dict.fromkeys(("grant_issued", "grant_opened", "grant_revoked", "grant_expired"), "grant"),
    **dict.fromkeys(("grant_suspended", "grant_resumed", "grant_renewed", "offline_handed_over"), "grant"),
    "compilation_step": "entry",
    "outside_step": "outside",
    "publication_step": "publication",
    "project_step": "project",
}


def label(table: Mapping[str, Text], code: str) -> Text:
    """Return the words for a code; a code without words shows itself."""
    return table.get(code, Text(code, code))


def outcome_label(code: str, event: str = "") -> Text:
    """Return the words for an outcome: those of its event, of the state of a case, or our common ones.

    The state of a case is worded by the regulation in force; one that it doesn't know, by the file that does.
    """
    return (
        OUTCOMES_OF.get(event, {}).get(code)
        or (_state(PROCEDURES[event], code) if event in PROCEDURES else None)
        or OUTCOMES.get(code)
        or REFUSALS.get(code)
        or _of_the_law(code)
        or next((words[code] for words in OUTCOMES_OF.values() if code in words), None)
        or Text(code, code)
    )


def _state(kind: str, code: str) -> Text | None:
    for rules in _regulations():
        procedure = rules.procedures.get(kind)
        state = procedure.state(code) if procedure else None
        if state is not None:
            return Text(state.zh, state.en)
    return None


def _of_the_law(code: str) -> Text | None:
    """A state of any kind of case, a share type, or a regulation by its name."""
    for rules in _regulations():
        if code == rules.id:
            return Text(rules.title.zh, rules.title.en)
        states = (procedure.state(code) for procedure in rules.procedures.values())
        found = next((one for one in states if one is not None), None) or rules.share_types.named(code)
        if found is not None:
            return Text(found.zh, found.en)
    return None


def _regulations() -> Iterator[Regulation]:
    """The regulation in force first, then every other one that is here."""
    yield regulation()
    yield from (readable(one) for one in regulation_ids() if one != regulation().id)
