"""Words of the register of business systems."""

from collections.abc import Iterable

from shuqiao.control.texts import Text

STATE_WORDS = {
    "unconnected": Text("未接入", "Not connected"),
    "planned": Text("计划接入", "Planned"),
    "connected": Text("已接入", "Connected"),
    "retired": Text("已停用", "Retired"),
}
STEP_WORDS = {
    "registered": Text("已登记", "Registered"),
    "changed": Text("登记内容变更", "Registration changed"),
    "planned": Text("计划接入", "Planned"),
    "connected": Text("已接入", "Connected"),
    "disconnected": Text("连接中断", "Disconnected"),
    "tested": Text("测试通过", "Test passed"),
    "retired": Text("已停用", "Retired"),
    "accepted": Text("通过验收", "Accepted"),
    "refused": Text("未通过验收", "Not accepted"),
}
WAY_WORDS = {
    "calls": Text("调用其他部门的信息", "Calls what other departments share"),
    "brings": Text("经前置机提供数据", "Brings data through the node"),
}
MISSING_WORDS = {
    "no_way": Text(
        "请先登记系统密钥或所提供的目录条目", "Name the system's key or the entry it brings first"
    ),
    "key_inactive": Text("系统密钥没有启用", "The system's key is not in use"),
    "node_inactive": Text("本部门的前置机没有接入或失联", "The department's node is not admitted or silent"),
    "not_connected": Text("系统尚未接入", "The system is not connected"),
    "untested_calls": Text(
        "接入后还没有成功调用其他部门信息的记录（收取订阅的变更也算）",
        "No call to another department was answered since it was connected (a part of a feed counts)",
    ),
    "untested_brings": Text(
        "接入后还没有被平台接收的数据批次", "No batch of it was taken by the platform since it was connected"
    ),
}
END_WORDS = {
    "": Text("有效", "In force"),
    "lapsed": Text("已失效", "Lapsed"),
    "revoked": Text("已撤销", "Revoked"),
}
LAPSE_WORDS = {
    **MISSING_WORDS,
    "ways_changed": Text("系统的接入方式有变更", "The ways of the system were changed"),
    "words_changed": Text("系统的名称或用途有变更", "Name or purpose of the system were changed"),
    "system_retired": Text("系统已停用", "The system is retired"),
}


def missing_words(missing: Iterable[str]) -> Text:
    """Say what is missing."""
    words = [MISSING_WORDS[one] for one in missing]
    return Text("；".join(one.zh for one in words), "; ".join(one.en for one in words))
