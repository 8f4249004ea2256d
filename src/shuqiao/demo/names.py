"""Word lists of the sample city: surnames, given names, streets, trades. Every combination is invented."""

from __future__ import annotations

from itertools import accumulate
from typing import Final

SAMPLE_NOTE: Final = "示例数据，人员均为虚构"

# Districts of Guangzhou with their codes of GB/T 2260, and how many of a hundred families live there.
DISTRICTS: Final[tuple[tuple[str, str, int], ...]] = (
    ("440103", "荔湾区", 7),
    ("440104", "越秀区", 6),
    ("440105", "海珠区", 10),
    ("440106", "天河区", 12),
    ("440111", "白云区", 19),
    ("440112", "黄埔区", 7),
    ("440113", "番禺区", 14),
    ("440114", "花都区", 9),
    ("440115", "南沙区", 5),
    ("440117", "从化区", 4),
    ("440118", "增城区", 7),
)
DISTRICT_NAMES: Final = {code: name for code, name, _ in DISTRICTS}

# Surname and weight, roughly as common as in Guangdong.
_SURNAMES: Final = (
    "陈95 李88 黄80 张60 梁58 林55 刘52 吴46 罗36 杨35 何34 王34 周32 郑26 谢25 邓25 冯24 蔡23 叶22 曾22 "
    "许21 彭20 郭20 钟20 朱19 卢18 赖17 苏17 潘16 江16 温15 廖15 胡14 徐14 马13 余13 袁12 邱12 简11 蒋11 "
    "麦11 关11 莫10 区10 谭10 汤9 欧阳9 伍9 韩8 董8 司徒8 邝8 招7 霍7 孔7 雷7 龙6 石6 方6 姚6"
)
_MALE_CHARACTERS: Final = (
    "志伟俊杰文浩宇轩子健明辉嘉豪建国永强家成泽凯振华锐锋思远博"
    "涛晓东海波启航瑞霖绍棠景行立群承恩启贤立德国梁鹏程炜彬卓然"
)
_FEMALE_CHARACTERS: Final = (
    "婉婷雅雯美玲晓燕丽华嘉欣思敏静怡诗雨子晴慧珊秀英佩仪淑贞"
    "紫琪若兰碧云芷柔曼妮颖彤凤仪月娥映雪绮珍咏梅惠芳倩怡楚瑶"
)
_STREET_TREES: Final = (
    "木棉",
    "榕荫",
    "凤凰",
    "紫荆",
    "白兰",
    "荔香",
    "桂苑",
    "竹溪",
    "莲塘",
    "棠下里",
    "金橘",
    "杜鹃",
)
_STREET_PLACES: Final = ("东", "西", "南", "北", "前", "后", "新", "旧")
_STREET_ENDS: Final = ("路", "大街", "横街", "直街", "巷")
_TOWN_WORDS: Final = (
    "晨光",
    "珠岸",
    "云麓",
    "和风",
    "望江",
    "榕城",
    "新圃",
    "同乐",
    "澄湖",
    "桥东",
    "桥西",
    "荷塘",
)

BRANDS: Final = (
    "羊晨", "穗合", "珠悦", "榕信", "云启", "粤衡", "凌屿", "木棉坊",
    "海曜", "天澍", "越岚", "荔源", "番和", "花朗", "从简", "增益堂",
    "黄屿", "白云岸", "南浦湾", "同舟", "百汇林", "万象田", "千帆集", "星岸",
)  # fmt: skip
BRAND_ENDS: Final = ("", "达", "盛", "源", "科", "创", "丰", "宁", "信", "安", "泰", "隆")

# Trade in a company's name, and its division in GB/T 4754-2017.
TRADES: Final[dict[str, str]] = {
    "餐饮": "62",
    "信息技术": "65",
    "软件": "65",
    "贸易": "51",
    "商贸": "52",
    "物流": "59",
    "服饰": "18",
    "家具": "21",
    "建筑工程": "47",
    "装饰设计": "50",
    "食品": "14",
    "生物科技": "73",
    "文化传播": "90",
    "教育咨询": "83",
    "物业管理": "70",
    "汽车配件": "36",
    "电子": "39",
    "美容": "80",
}


def _weighted(text: str) -> tuple[tuple[str, ...], tuple[int, ...]]:
    words = [(entry.rstrip("0123456789"), entry) for entry in text.split()]
    return tuple(word for word, _ in words), tuple(
        accumulate(int(entry[len(word) :]) for word, entry in words)
    )


SURNAMES, SURNAME_WEIGHTS = _weighted(_SURNAMES)
DISTRICT_CODES: Final = tuple(code for code, _, _ in DISTRICTS)
DISTRICT_WEIGHTS: Final = tuple(accumulate(weight for _, _, weight in DISTRICTS))
MALE_CHARACTERS: Final = tuple(dict.fromkeys(_MALE_CHARACTERS))
FEMALE_CHARACTERS: Final = tuple(dict.fromkeys(_FEMALE_CHARACTERS))
TOWNS: Final = tuple(f"{word}街道" for word in _TOWN_WORDS)
STREETS: Final = tuple(
    f"{tree}{place}{end}" for tree in _STREET_TREES for place in _STREET_PLACES for end in _STREET_ENDS
)
