"""Words for the codes of catalogue columns."""

from collections.abc import Mapping

from shuqiao.control.catalogue.vocabulary import vocabulary
from shuqiao.control.texts import Text

MODES = vocabulary().modes
CHANNELS = vocabulary().channels
LIBRARIES = vocabulary().libraries
UPDATE_CYCLES = vocabulary().cycles
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


def label(table: Mapping[str, Text], code: str) -> Text:
    """Return the words for a code; a code without words shows itself."""
    return table.get(code, Text(code, code))


def mode_labels(modes: list[str] | tuple[str, ...]) -> tuple[tuple[str, Text], ...]:
    """Return modes with their words, in the order given."""
    return tuple((mode, label(MODES, mode)) for mode in modes)
