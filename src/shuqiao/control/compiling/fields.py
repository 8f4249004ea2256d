"""The fields of the wizard: the step of each, how it is called, what it means, how it is filled in."""

from dataclasses import dataclass
from typing import TypedDict, Unpack

from shuqiao.control.texts import Text

STEPS = (
    Text("名称与分类", "Name and class"),
    Text("信息项", "Items"),
    Text("共享与依据", "Sharing and grounds"),
    Text("数据与更新", "Data and updating"),
    Text("核对声明", "Check and declare"),
)
ITEMS_STEP, CHECK_STEP = 2, len(STEPS)


@dataclass(frozen=True)
class FieldSpec:
    """One field of an entry in the wizard.

    `kind` is text, textarea, date, number, select, checks, yesno, subject, keys (ids of entries), department
    or departments; `choices` names the vocabulary of a select or checks, or what stands in its place: types,
    ranks, relations, duties, items, details. `limit` is the longest text. `optional_help` tells that the help
    is about leaving the field empty.
    """

    name: str
    label: Text
    help: Text
    kind: str = "text"
    choices: str = ""
    limit: int = 200
    wide: bool = False
    optional_help: bool = False


@dataclass(frozen=True)
class Group:
    """Fields that belong together, under one heading of a step."""

    key: str
    step: int
    title: Text
    fields: tuple[FieldSpec, ...]


class _Form(TypedDict, total=False):
    """How a field is filled in, where it is not a line of text."""

    kind: str
    choices: str
    limit: int
    wide: bool
    optional_help: bool


def _field(
    name: str, zh: str, en: str, help_zh: str = "", help_en: str = "", **form: Unpack[_Form]
) -> FieldSpec:
    return FieldSpec(name, Text(zh, en), Text(help_zh, help_en), **form)


_NAMES = Group(
    "names",
    1,
    Text("名称与摘要", "Name and summary"),
    (
        _field(
            "name_zh",
            "名称",
            "Name in Chinese",
            "用业务上的规范全称，例如：公共租赁住房保障资格信息",
            "Its full official name in Chinese",
            limit=100,
        ),
        _field(
            "name_en", "英文名称", "Name in English", "选填，供英文界面使用", "For English pages", limit=160
        ),
        _field(
            "summary_zh",
            "摘要",
            "Summary in Chinese",
            "记的是什么、覆盖什么范围、从何时起",
            "What it records, what it covers, since when",
            kind="textarea",
            limit=500,
            wide=True,
        ),
        _field("summary_en", "英文摘要", "Summary in English", kind="textarea", limit=700, wide=True),
    ),
)
_CLASS = Group(
    "class",
    1,
    Text("分类与格式", "Class and format"),
    (
        _field(
            "subject",
            "信息资源分类",
            "Classification",
            "类和项从列表选；目为 3 位数字，细目选填，均为数字",
            "Choose class and group; then 3 digits, and perhaps more for the finest class",
            kind="subject",
            wide=True,
        ),
        _field("library_kind", "所属库类", "Kind of database", kind="select", choices="library_kinds"),
        _field(
            "library",
            "所属库",
            "Database",
            "须属于所选库类",
            "One of the chosen kind",
            kind="select",
            choices="libraries",
        ),
        _field("format", "数据格式", "Format", kind="select", choices="formats"),
        _field(
            "format_detail",
            "具体格式",
            "Exact format",
            "例如：postgresql、xlsx、pdf",
            "For example postgresql, xlsx, pdf",
            choices="details",
        ),
        _field("origin", "信息来源", "Origin", kind="select", choices="origins"),
        _field(
            "forms",
            "表现形式",
            "Forms",
            "可多选，非结构化资源也可编目",
            "Several may hold; unstructured resources have entries too",
            kind="checks",
            choices="forms",
            wide=True,
        ),
    ),
)
_WHO = Group(
    "who",
    1,
    Text("由谁负责", "Who is responsible"),
    (
        _field("department", "提供部门", "Providing department", kind="department"),
        _field("unit", "内设机构", "Unit", "部门内部负责的处室", "The office in the department"),
        _field(
            "collecting",
            "采集部门",
            "Collecting department",
            "与提供部门相同时也要选明",
            "Choose it even if it is the provider",
            kind="department",
        ),
        _field("verifying", "核准部门", "Verifying department", kind="department"),
        _field(
            "joint",
            "共同采集部门",
            "Joint collectors",
            "依规定由几个部门共同采集时才选",
            "Only where several departments collect it together",
            kind="departments",
            wide=True,
        ),
    ),
)
_SHARING = Group(
    "sharing",
    3,
    Text("共享属性", "How it is shared"),
    (
        _field(
            "share_type",
            "共享类型",
            "Share type",
            "个别信息项不同的，在信息项里另选",
            "Items that differ say so in their own row",
            kind="select",
            choices="types",
        ),
        _field("ground_rank", "依据的效力层级", "Rank of the ground", kind="select", choices="ranks"),
        _field(
            "ground",
            "类型依据",
            "Ground of the type",
            "写明文件名称和条款，例如：《××条例》第×条",
            "Name the norm and its article",
            kind="textarea",
            limit=500,
            wide=True,
        ),
        _field("conditions", "共享条件", "Conditions", kind="textarea", limit=500, wide=True),
        _field(
            "shared_with",
            "只提供给",
            "Only shared with",
            "不选即面向全部部门",
            "None chosen means all departments",
            kind="departments",
            wide=True,
        ),
        _field("relations", "相关事项", "Connected work", kind="checks", choices="relations", wide=True),
    ),
)
_USE = Group(
    "use",
    3,
    Text("使用", "Use"),
    (
        _field("manner", "共享方式", "Manner of sharing", kind="checks", choices="manners", wide=True),
        _field("scope", "使用范围", "Scope of use", "例如：本市各行政机关", "For example: the city's organs"),
        _field("use", "具体用途", "Concrete use", kind="textarea", limit=500, wide=True),
        _field(
            "modes",
            "平台服务",
            "Services of the platform",
            "核验只答一致或不一致，不给数据",
            "Verify says match or no match and gives no data",
            kind="checks",
            choices="modes",
        ),
        _field(
            "shared_until",
            "共享期限至",
            "Shared until",
            "不填即为规则允许的最长期限",
            "Left empty it is the longest period allowed",
            kind="date",
            optional_help=True,
        ),
    ),
)
_PUBLIC = Group(
    "public",
    3,
    Text("向社会开放", "Opening to the public"),
    (
        _field("open_to_public", "可否向社会开放", "Open to the public", kind="yesno"),
        _field("open_conditions", "开放条件", "Conditions of opening"),
    ),
)
_LEGAL = Group(
    "legal",
    3,
    Text("采集与共享的依据", "Grounds for collecting and sharing"),
    (
        _field(
            "duty",
            "法定职责",
            "Statutory duty",
            "只列提供部门已登记的职责",
            "Duties registered for the providing department",
            kind="select",
            choices="duties",
            wide=True,
        ),
        _field(
            "legal_ground",
            "职权或政策依据",
            "Competence or policy ground",
            "非基础信息须写明",
            "Other than base data needs one",
        ),
        _field(
            "obliged_by",
            "已有规定要求共享",
            "Already to be shared under",
            "国家、省、市已要求共享的，写文件和条款",
            "The rule of state, province or city that demands sharing",
        ),
    ),
)
_DATA = Group(
    "data",
    4,
    Text("数据所在与更新", "Where the data lie, how fresh they are"),
    (
        _field("platform", "信息所在平台", "Platform", "数据实际存放的平台", "Where the data really lie"),
        _field("system", "所属系统", "System", "形成数据的业务系统", "The system that forms the data"),
        _field("update_cycle", "更新频度", "Update cycle", kind="select", choices="cycles"),
        _field(
            "timeliness",
            "时效要求",
            "Timeliness",
            "例如：业务办结后 1 个工作日内",
            "For example: within 1 working day",
        ),
        _field(
            "record_key",
            "记录主键",
            "Record key",
            "按它查到一条记录；提供核验、查询的必选",
            "One record is found by it; needed for verify and query",
            kind="select",
            choices="items",
        ),
        _field("records", "记录数", "Records", "条", "How many", kind="number"),
        _field("storage_gb", "存储量", "Storage", "GB", "GB", kind="number"),
    ),
)
_SOURCE = Group(
    "source",
    4,
    Text("数字化与回流", "Digitisation and return flow"),
    (
        _field("digitisation", "数字化状态", "Digitisation", kind="select", choices="digitisation"),
        _field(
            "superior_system",
            "上级部门系统",
            "Superior system",
            "数据存于国家或省级系统时填写",
            "Where the data lie in a system of state or province",
        ),
        _field("return_flow", "数据回流状态", "Return flow", kind="select", choices="return_flow"),
    ),
)
_LINKS = Group(
    "links",
    4,
    Text("关联", "Links"),
    (
        _field("matters", "关联业务事项", "Matters served", wide=True),
        _field(
            "related",
            "关联条目",
            "Related entries",
            "条目编号，每行一个",
            "Ids of entries, one a line",
            kind="keys",
        ),
        _field(
            "city_entry",
            "对应的市级条目",
            "Entry of the city",
            "区级条目与市级目录关联时填写编号",
            "For a district's entry: the id of the city's",
        ),
    ),
)
GROUPS = (_NAMES, _CLASS, _WHO, _SHARING, _USE, _PUBLIC, _LEGAL, _DATA, _SOURCE, _LINKS)
FIELDS = {field.name: field for group in GROUPS for field in group.fields}
STEP_OF = {field.name: group.step for group in GROUPS for field in group.fields} | {"not_secret": CHECK_STEP}

ITEM_FIELDS = {
    "zh": Text("中文名称", "Name"),
    "field": Text("英文字段", "Field"),
    "en": Text("英文名称", "Name in English"),
    "data_type": Text("类型", "Type"),
    "length": Text("长度", "Length"),
    "standard": Text("数据元标准", "Standard"),
    "code_list": Text("代码表", "Code list"),
    "codes": Text("代码", "Codes"),
    "sensitivity": Text("敏感级", "Sensitivity"),
    "business_secret": Text("商业秘密", "Trade secret"),
    "identity": Text("可识别身份", "Identifies a person"),
    "kind": Text("内容种类", "Kind"),
    "required": Text("必填", "Required"),
    "key": Text("主键", "Key"),
    "timestamp": Text("时间戳", "Time-stamp"),
    "share_type": Text("共享类型", "Share type"),
    "note": Text("备注", "Note"),
}
ITEM_KIND_WORDS = {
    "plain": Text("一般", "Plain"),
    "name": Text("姓名", "Name"),
    "citizen_id": Text("公民身份号码", "Citizen ID number"),
    "credit_code": Text("统一社会信用代码", "Credit code"),
    "document": Text("证件号码", "Document number"),
    "contact": Text("联系方式", "Contact"),
    "address": Text("地址", "Address"),
    "picture": Text("图像", "Picture"),
}
OTHER_FIELDS = {
    "items": Text("信息项", "Items"),
    "not_secret": Text("不涉密声明", "No state secret"),
    "pasted": Text("粘贴的内容", "Pasted rows"),
    "wizard": Text("", ""),
    "content": Text("", ""),
}


def step_of(path: str) -> int:
    """In which step a path such as `name_zh` or `items[2].length` is filled in."""
    return ITEMS_STEP if path.startswith("items") else STEP_OF.get(path, 1)


def label_of(path: str) -> Text:
    """How a path is called on the pages; of an item it is the item's place and its field."""
    if path in FIELDS:
        return FIELDS[path].label
    if path in OTHER_FIELDS:
        return OTHER_FIELDS[path]
    return ITEM_FIELDS.get(path.rpartition(".")[2], Text(path, path))
