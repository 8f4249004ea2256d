"""The words of every notice by its code: a title, and a detail that only the pages show."""

from shuqiao.control.texts import Text

NOTICES = {
    "alarm_raised": (
        Text("有使用情况待研判", "Unusual use to be judged"),
        Text("{reference}：{name_zh}", "{reference}: {name_en}"),
    ),
    "alarm_asked": (
        Text("请说明使用情况", "Explain your use"),
        Text("{reference} 请说明用途和经办情况", "{reference}: say what it was used for"),
    ),
    "alarm_explained": (
        Text("对方已说明使用情况", "A use was explained"),
        Text("{reference} 可以研判", "{reference} can be judged"),
    ),
    "alarm_judged": (
        Text("使用情况已研判", "An alarm was judged"),
        Text("{reference} 已有结论", "{reference} has a result"),
    ),
    "review_missing": (
        Text("数据提供前须签署审查", "A review is to be signed"),
        Text(
            "{name_zh}：{review_zh}尚未签署，数据留在前置机",
            "{name_en}: {review_en} is not signed, so its data wait",
        ),
    ),
    "review_ending": (
        Text("审查将期满", "A review ends soon"),
        Text("{name_zh}：{review_zh}有效至 {until}", "{name_en}: {review_en} serves until {until}"),
    ),
    "source_changed": (
        Text("来源表结构已变", "A source has other columns"),
        Text("{name_zh}：{changes_zh}", "{name_en}: {changes_en}"),
    ),
    "source_changed_use": (
        Text("所用信息的来源结构已变", "A source you use has changed"),
        Text("{name_zh}：来源表结构已变，部分信息项可能缺失", "{name_en}: some of its items may be missing"),
    ),
    "node_token_made": (
        Text("可接入前置机", "A node can be admitted"),
        Text(
            "平台已签发接入令牌，{hours} 小时内有效，请向平台运维人员领取",
            "A token is made and serves {hours} hours: get it from the platform's operators",
        ),
    ),
    "node_revoked": (
        Text("前置机已撤销", "A node was revoked"),
        Text("{name_zh}的前置机已停止接入：{reason}", "The node of {name_en} is cut off: {reason}"),
    ),
    "node_silent": (
        Text("前置机失联", "A node is silent"),
        Text("{name_zh}的前置机没有消息，请检查", "The node of {name_en} says nothing: look at it"),
    ),
    "batches_unacknowledged": (
        Text("批次发送未获确认", "Batches are not acknowledged"),
        Text(
            "{name_zh}：自 {since} 起 {tries} 次发送未获消息服务器确认，数据留在前置机；请平台检查消息服务器",
            "{name_en}: since {since} the message server has not acknowledged {tries} tries; its data stay at"
            " the node. The platform agency looks at the message server",
        ),
    ),
    "reconciliation_agreed": (
        Text("对账一致", "Shared data agree with their source"),
        Text("{name_zh}：与本部门数据一致", "{name_en}: as the department holds them"),
    ),
    "reconciliation_differs": (
        Text("对账有差异", "Shared data differ from their source"),
        Text("{name_zh}：请查看差异并处理", "{name_en}: look at what differs"),
    ),
    "reconciliation_failed": (
        Text("对账未完成", "A reconciliation did not finish"),
        Text("{name_zh}：请查看原因", "{name_en}: see why"),
    ),
    "reconciliation_not_mended": (
        Text("差异段未能重新装载", "Ranges could not be loaded again"),
        Text("{name_zh}：请查看原因，处理后再试", "{name_en}: see why, and ask for it again"),
    ),
    "rows_held": (
        Text("有数据被筛查扣留", "Rows are held by screening"),
        Text(
            "{name_zh}：{rows} 行留在前置机，请核对后放行或更正",
            "{name_en}: {rows} rows stay at the node; look at them, release or correct them",
        ),
    ),
    "removals_held": (
        Text("大量移出待确认", "Removals are held back"),
        Text(
            "{name_zh}：来源少了 {rows} 行，已暂缓移出，请确认",
            "{name_en}: {rows} rows are gone at the source; say whether they may leave",
        ),
    ),
    "data_change_registered": (
        Text("数据有变化待更新", "Data to be updated"),
        Text("{reference} {name_zh}：请按期更新", "{reference} {name_en}: update it in time"),
    ),
    "data_updated_as_noticed": (
        Text("反映的变化已更新", "What you noticed is updated"),
        Text("{reference} 已更新", "{reference} is updated"),
    ),
    "data_change_over": (
        Text("数据更新逾期", "An update is overdue"),
        Text("{reference} {name_zh}应于 {due_on} 前更新", "{reference} {name_en} was due on {due_on}"),
    ),
    "data_updated": (
        Text("获取的信息已更新", "Information you hold was updated"),
        Text("{name_zh}：请比对、更新本单位副本并确认", "{name_en}: compare and update your copy, confirm"),
    ),
    "slow_update_asked": (
        Text("特殊情况更新待审核", "Slower updating to be decided"),
        Text("{name_zh}的责任部门已申请", "The department of {name_en} has asked for it"),
    ),
    "slow_update_approved": (
        Text("特殊情况更新已批准", "Slower updating approved"),
        Text("{name_zh}按季度窗口更新", "{name_en} is updated by quarter"),
    ),
    "slow_update_refused": (
        Text("特殊情况更新未批准", "Slower updating not approved"),
        Text("{name_zh}仍按原规定更新", "{name_en} is updated as before"),
    ),
    "slow_update_ended": (
        Text("特殊情况更新已结束", "Slower updating ended"),
        Text("{name_zh}恢复按原规定更新", "{name_en} is updated as before"),
    ),
    "hindrance_recorded": (
        Text("因不可抗力不能按时提供", "Not provided: force majeure"),
        Text("{name_zh}，预计 {until} 恢复，补救措施见条目", "{name_en}, until {until}; see its entry"),
    ),
    "hindrance_ended": (
        Text("已恢复提供", "Provided again"),
        Text("{name_zh}已恢复提供", "{name_en} is provided again"),
    ),
    "copies_recalled": (
        Text("授权已结束，请删除副本并回执", "A grant has ended: delete your copies and sign"),
        Text("{reference} {name_zh}：请在 {due_on} 前", "{reference} {name_en}: by {due_on}"),
    ),
    "recall_overdue": (
        Text("召回副本逾期", "A recall of copies is overdue"),
        Text(
            "{reference} {name_zh}应于 {due_on} 前删除并回执",
            "{reference} {name_en} was to be deleted and signed for by {due_on}",
        ),
    ),
    "copies_deleted": (
        Text("副本已删除", "Copies were deleted"),
        Text("{reference} 已收到删除回执", "{reference}: the receipt has come"),
    ),
    "cycle_missed": (
        Text("未按周期更新", "A cycle was missed"),
        Text("{name_zh}在 {due_on} 前没有数据送达", "No data of {name_en} came until {due_on}"),
    ),
    "change_registered": (
        Text("登记了目录变更", "A change for your catalogue"),
        Text("{reference} 涉及本部门目录，请按期更新", "{reference}: bring your entries up to date in time"),
    ),
    "change_closed": (
        Text("目录变更已说明办结", "A change was closed with a reason"),
        Text("{reference} 的其余条目不需更新", "{reference}: its other entries need no update"),
    ),
    "maintenance_open": (
        Text("目录全面维护开始", "Full maintenance of the catalogue"),
        Text("请在 {due_on} 前完成检查并签署", "Check your catalogue and sign by {due_on}"),
    ),
    "maintenance_soon": (
        Text("目录全面维护将到期", "Full maintenance due soon"),
        Text("请在 {due_on} 前签署", "Sign by {due_on}"),
    ),
    "maintenance_over": (
        Text("目录全面维护逾期", "Full maintenance is overdue"),
        Text("{name_zh}应于 {due_on} 前签署", "{name_en} was to sign by {due_on}"),
    ),
    "key_enrolment_asked": (
        Text("有系统密钥待审核", "A system's key to decide on"),
        Text("{department} 登记 {application}", "{department} asks for {application}"),
    ),
    "interconnection_certified": (
        Text("互联共享测试证明已出具", "Interconnection certified"),
        Text("{reference}：{name}", "{reference}: {name}"),
    ),
    "interconnection_ended": (
        Text("互联共享测试证明不再有效", "A certificate of interconnection has ended"),
        Text(
            "{reference}：{name}，请查看原因并重新申办", "{reference}: {name}; see why, and ask for another"
        ),
    ),
    "system_accepted": (
        Text("业务系统有验收结论", "A business system was judged"),
        Text("{reference}：{name}的验收结论已登记", "{reference}: the result for {name} is recorded"),
    ),
    "rectification_over": (
        Text("业务系统整改逾期", "A system was not put right in time"),
        Text(
            "{reference} {name}：应于 {due_on} 前整改，请整改后重新验收",
            "{reference} {name} was to be put right by {due_on}: put it right and have it judged again",
        ),
    ),
    "key_enrolment_decided": (
        Text("系统密钥已审核", "Decision on a system's key"),
        Text("{application} 的登记已有结果", "{application}: the agency has decided"),
    ),
    "application_retired": (
        Text("系统已停用", "System retired"),
        Text("{application}：{reason}", "{application}: {reason}"),
    ),
    "standard_published": (
        Text("标准已发布", "Standard published"),
        Text("{name_zh} 第 {version} 版已生效", "{name_en}, version {version}, is in force"),
    ),
    "compilation_moved": (
        Text("目录编制有进展", "Compiling has moved on"),
        Text(
            "{reference} {name_zh}（{count} 件）：{step_zh}，现为“{state_zh}”",
            "{reference} {name_zh} ({count}): {step_en}, now “{state_en}”",
        ),
    ),
    "catalogue_published": (
        Text("共享目录已更新", "The sharing catalogue has changed"),
        Text(
            "{name_zh} 等 {count} 条：新增 {added}，变更 {changed}，移出 {removed}",
            "{name_zh} and others, {count}: {added} added, {changed} changed, {removed} taken out",
        ),
    ),
    "share_type_ruled": (
        Text("共享类型已核定", "Share type ruled on"),
        Text("{name}：{document}", "{name}: {document}"),
    ),
    "share_type_changed": (
        Text("共享类型已调整", "Share type changed"),
        Text("{name} 的共享类型已调整，已有授权不受影响", "{name}: the share type has changed; grants stay"),
    ),
    "claim_moved": (
        Text("数据来源有新进展", "Source of a datum"),
        Text("{reference} 有新的答复或决定", "{reference} has a new answer or decision"),
    ),
    "lead_source_due": (
        Text("待记录来源决定", "Record the source of a datum"),
        Text(
            "{reference} 的争议已处理，请记录来源决定",
            "{reference}: its dispute is settled; record the source",
        ),
    ),
    "outside_moved": (
        Text("目录外信息协商有新进展", "Information outside the catalogue"),
        Text("{reference} 有新的记录或答复", "{reference} has something new"),
    ),
    "publication_moved": (
        Text("对外提供或发布的申请有新进展", "Passing on or publishing"),
        Text("{reference} 有新的申请或答复", "{reference} has something new"),
    ),
    "project_moved": (
        Text("专项有新进展", "Special project"),
        Text("{reference} 有新的安排", "{reference} has something new"),
    ),
    "request_received": (
        Text("收到申请", "Request received"),
        Text("{reference} {name}，最迟 {due_on} 答复", "{reference} {name}, to be answered by {due_on}"),
    ),
    "request_announced": (
        Text("收到申请", "Request received"),
        Text(
            "{reference} {name}，收到书面申请后登记日期",
            "{reference} {name}; record when its paper form comes",
        ),
    ),
    "request_moved": (
        Text("申请有进展", "Request moved on"),
        Text("{reference}：{step_zh}", "{reference}: {step_en}"),
    ),
    "request_must_share": (
        Text("争议决定：应当共享", "Dispute decided: to be shared"),
        Text("{reference} 依 {dispute} 应当共享，由提供方答复", "{reference} is to be shared, by {dispute}"),
    ),
    "request_settled": (
        Text("争议终结", "Dispute ended"),
        Text("{reference} 依 {dispute} 不予共享", "{reference} is not shared, by {dispute}"),
    ),
    "answer_proposed": (
        Text("答复待审核", "Answer to confirm"),
        Text(
            "{reference} 的答复意见待分管领导审核",
            "{reference}: a proposed answer awaits the leader in charge",
        ),
    ),
    "request_answered": (
        Text("申请已答复", "Request answered"),
        Text("{reference} 已有答复", "{reference} has been answered"),
    ),
    "request_withdrawn": (
        Text("申请已撤回", "Request withdrawn"),
        Text("{reference} 已由申请方撤回", "{reference} was withdrawn by its requester"),
    ),
    "negotiation_opened": (
        Text("转入协商", "Negotiation opened"),
        Text("{reference} 由主管部门组织双方协商", "{reference} is now negotiated by both sides"),
    ),
    "dispute_moved": (
        Text("争议进展", "A dispute has moved"),
        Text("{reference} {did_zh}，现为“{state_zh}”", "{reference}: {did_en}, now {state_en}"),
    ),
    "review_due": (
        Text("应召集联合会审", "A joint review is due"),
        Text(
            "{reference} 已汇总 {count} 件争议，请召集", "{reference}: {count} disputes collected, convene it"
        ),
    ),
    "offline_handed_over": (
        Text("离线交付已登记", "Handed over offline"),
        Text("{reference} 登记了一次离线交付，请核对", "{reference}: a handover was recorded; check it"),
    ),
    "grant_revoked": (
        Text("授权已停用", "Grant revoked"),
        Text("{reference} 理由：{reason}", "{reference}, reason: {reason}"),
    ),
    "grant_suspended": (
        Text("授权已暂停", "Grant suspended"),
        Text("{reference} 理由：{reason}", "{reference}, reason: {reason}"),
    ),
    "grant_resumed": (
        Text("授权已恢复", "Grant resumed"),
        Text("{reference} 可继续使用", "{reference} can be used again"),
    ),
    "grant_renewed": (
        Text("授权已续期", "Grant renewed"),
        Text("{reference} 由 {successor} 接续", "{reference} is continued by {successor}"),
    ),
    "grant_expired": (
        Text("授权已到期", "Grant expired"),
        Text(
            "{reference} 已到期，仍需使用的请重新申请", "{reference} has ended; apply again if still needed"
        ),
    ),
    "due_date_moved": (
        Text("期限变动", "Due date moved"),
        Text(
            "{reference} 的{term_zh}期限由 {before} 改为 {due_on}：工作日历已调整",
            "{reference}: {term_en} is now due on {due_on} instead of {before}; the calendar was changed",
        ),
    ),
    "entry_ending": (
        Text("目录条目即将期满", "An entry ends soon"),
        Text(
            "{name_zh}的共享期限至 {until}，需继续共享的请延长",
            "{name_en} is shared until {until}; prolong it if it is still to be shared",
        ),
    ),
    "entry_ended": (
        Text("目录条目已期满", "An entry has ended"),
        Text("{name_zh}的共享期限已于 {until} 届满", "{name_en} was shared until {until}"),
    ),
    "entry_followed": (
        Text("订阅的条目有变化", "An entry you follow has changed"),
        Text("{name_zh}：{change_zh}", "{name_en}: {change_en}"),
    ),
    "search_followed": (
        Text("订阅的检索有变化", "A search you follow has changed"),
        Text(
            "“{name}”有 {count} 条变化：新增 {added}，变更 {changed}，移出 {removed}",
            "“{name}”, {count} changes: {added} added, {changed} changed, {removed} taken out",
        ),
    ),
    "regulation_ending": (
        Text("规则即将到期", "The regulation ends soon"),
        Text(
            "《{title_zh}》有效期至 {until}，请及时评估、修订，并装载新规则",
            "{title_en} is in force until {until}: evaluate and revise it, and load the new rules",
        ),
    ),
    "regulation_ended": (
        Text("规则已到期", "The regulation has ended"),
        Text(
            "《{title_zh}》已于 {until} 到期，平台仍按其运行，请装载现行规则",
            "{title_en} ended on {until}; the platform still works by it: load the rules in force",
        ),
    ),
    "clock_soon": (
        Text("期限将至", "Due soon"),
        Text("{reference} 的{term_zh}期限为 {due_on}", "{reference}: {term_en} is due on {due_on}"),
    ),
    "clock_due": (
        Text("今天到期", "Due today"),
        Text("{reference} 的{term_zh}今天到期", "{reference}: {term_en} is due today"),
    ),
    "clock_over": (
        Text("已逾期", "Overdue"),
        Text("{reference} 的{term_zh}期限 {due_on} 已过", "{reference}: {term_en} was due on {due_on}"),
    ),
}
