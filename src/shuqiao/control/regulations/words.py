"""What the pages call the keys of regulation files that have no words of their own there."""

from shuqiao.control.texts import Text
from shuqiao.rules.capabilities import Capability
from shuqiao.rules.regulation import PROVIDER, REQUESTER, SYSTEM

CASES = {
    "request": Text("共享申请", "Requests"),
    "outside": Text("目录外信息", "Information outside the catalogue"),
    "grant": Text("授权", "Grants"),
    "dispute": Text("争议", "Disputes"),
    "project": Text("专项共享", "Special projects"),
    "publication": Text("对外提供或发布", "Passing on or publishing"),
}
SIDES = {
    REQUESTER: Text("需求方", "requester"),
    PROVIDER: Text("提供方", "provider"),
    SYSTEM: Text("平台", "platform"),
}
OPENNESS = (
    Text("不共享", "not shared"),
    Text("附条件", "on conditions"),
    Text("对全部部门", "to all departments"),
)
SYSTEM_KINDS = {
    "platform": Text("交换平台", "exchange platform"),
    "interface": Text("专用接口", "interface of its own"),
    "system": Text("共享交换系统", "sharing or exchange system"),
    "catalogue": Text("目录系统", "catalogue system"),
}
MATTERS = {
    "after_delivery": Text("交付后的责任", "Responsibility after delivery"),
    "audit": Text("使用留痕", "Record of use"),
    "catalogue_change": Text("目录变更", "Changes of the catalogue"),
    "catalogue_entry": Text("目录条目", "Catalogue entry"),
    "complaints": Text("投诉", "Complaints"),
    "consistency": Text("与来源一致", "Agreement with the source"),
    "data_quality": Text("数据质量", "Quality of data"),
    "disputes": Text("争议", "Disputes"),
    "first_request": Text("首次申请", "First request"),
    "force_majeure": Text("不可抗力", "Force majeure"),
    "free": Text("无偿提供", "Free of charge"),
    "identity_apart": Text("身份信息分离", "Identity kept apart"),
    "marked_items": Text("商业秘密与个人隐私", "Trade secrets and privacy"),
    "no_repeat": Text("不重复索要材料", "Papers not asked for again"),
    "obliged_information": Text("依规应当共享的信息", "Information that must be shared"),
    "one_source": Text("一数一源", "One datum, one source"),
    "other_information": Text("非基础信息", "Other than base information"),
    "own_duty": Text("履职需要", "Own duty"),
    "passing_on": Text("对外提供", "Passing on"),
    "persons_in_charge": Text("责任人", "Persons in charge"),
    "security": Text("安全", "Security"),
    "sharing_modes": Text("服务模式", "Modes of sharing"),
    "sharing_period": Text("共享期限", "Sharing period"),
    "standards": Text("标准规范", "Standards"),
    "state_secrets": Text("国家秘密", "State secrets"),
    "update_notice": Text("更新后通知获取方", "Notice to recipients of an update"),
    "within_grant": Text("授权范围", "Within the grant"),
}
CAPABILITIES = {
    Capability.CATALOGUE_SEARCH: Text("检索目录", "search the catalogue"),
    Capability.CATALOGUE_EDIT: Text("编制目录", "compile the catalogue"),
    Capability.CATALOGUE_REVIEW: Text("审核目录", "review the catalogue"),
    Capability.CATALOGUE_APPROVE: Text("批准目录", "approve the catalogue"),
    Capability.REQUEST_SUBMIT: Text("提出申请", "make requests"),
    Capability.REQUEST_ANSWER: Text("答复申请", "answer requests"),
    Capability.ANSWER_CONFIRM: Text("审核答复", "confirm answers"),
    Capability.GRANT_USE: Text("使用授权", "use grants"),
    Capability.GRANT_REVOKE: Text("停用授权", "revoke grants"),
    Capability.DISPUTE_OPEN: Text("提出争议", "open disputes"),
    Capability.DISPUTE_COORDINATE: Text("协调争议", "co-ordinate disputes"),
    Capability.REVIEW_OPINE: Text("发表会审意见", "give opinions in joint review"),
    Capability.RULING_RECORD: Text("作出裁定", "record rulings"),
    Capability.PROJECT_LEAD: Text("牵头专项", "lead projects"),
    Capability.APPLICATION_ENROL: Text("登记系统密钥", "enrol systems' keys"),
    Capability.DATA_CLEAR: Text("签署数据提供前的审查", "sign reviews before data are provided"),
    Capability.APPLICATION_ADMIT: Text("审核系统接入", "admit systems' keys"),
    Capability.NODES_WATCH: Text("查看节点", "watch nodes"),
    Capability.PERSONS_VIEW: Text("查看责任人", "see persons in charge"),
    Capability.CALENDAR_EDIT: Text("维护工作日历", "keep the calendar"),
    Capability.RULES_COMPARE: Text("对照规则", "compare rules"),
    Capability.REPLIES_VIEW: Text("查看答复时效", "see times of reply"),
    Capability.AUDIT_VIEW: Text("查看本部门审计", "see the department's log"),
    Capability.AUDIT_VIEW_ALL: Text("查看全部审计", "see the whole log"),
}
