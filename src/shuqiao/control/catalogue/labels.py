"""Words for the codes of catalogue columns."""

from shuqiao.control.texts import Text

MODES = {
    "verify": Text("核验", "Verify"),
    "query": Text("查询", "Query"),
    "bulk": Text("批量", "Bulk"),
}
LIBRARIES = {
    "population": Text("人口基础信息库", "Population library"),
    "legal_entity": Text("法人基础信息库", "Legal entity library"),
    "geospatial": Text("自然资源和空间地理基础信息库", "Natural resources and geospatial library"),
}
UPDATE_CYCLES = {
    "realtime": Text("实时", "Real time"),
    "daily": Text("每日", "Daily"),
    "weekly": Text("每周", "Weekly"),
    "monthly": Text("每月", "Monthly"),
    "quarterly": Text("每季度", "Quarterly"),
    "yearly": Text("每年", "Yearly"),
}
TYPES = {
    "string": Text("字符", "Characters"),
    "text": Text("长文本", "Long text"),
    "code": Text("代码", "Code"),
    "date": Text("日期", "Date"),
    "datetime": Text("日期时间", "Date and time"),
    "image": Text("图片", "Picture"),
}
FACETS = {
    "department": Text("责任部门", "Responsible department"),
    "mode": Text("服务方式", "Mode"),
    "library": Text("基础库", "Library"),
    "update_cycle": Text("更新周期", "Update cycle"),
}


def label(table: dict[str, Text], code: str) -> Text:
    """Return the words for a code; a code without words shows itself."""
    return table.get(code, Text(code, code))


def mode_labels(modes: list[str] | tuple[str, ...]) -> tuple[tuple[str, Text], ...]:
    """Return modes with their words, in the order given."""
    return tuple((mode, label(MODES, mode)) for mode in modes)
