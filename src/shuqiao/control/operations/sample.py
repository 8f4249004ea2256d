"""Who acts in the sample city, and the older cases that fill its lists. All persons are invented."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class SampleAccount:
    """A demonstration account: `department` is a code word of the departments file."""

    username: str
    display_name: str
    department: str
    role: str


@dataclass(frozen=True)
class SampleApplication:
    """A department's own system in the sample city."""

    id: str
    department: str
    zh: str
    en: str


@dataclass(frozen=True)
class SampleCase:
    """An older request: submitted so many working days ago, and what came of it.

    `granted` are the items its provider has approved; without `reviewer` it is still open.
    """

    clerk: str
    list_key: str
    purpose: str
    items: dict[str, str]
    days_ago: int
    mode: str = "verify"
    reviewer: str = ""
    answered_after: int = 0
    granted: tuple[str, ...] = ()
    refusal: str = ""
    applications: tuple[str, ...] = field(default=())


ACCOUNTS = (
    SampleAccount("lin", "林示例", "housing", "clerk"),
    SampleAccount("chen", "陈示例", "health", "sharing_officer"),
    SampleAccount("tan", "谭示例", "housing", "technician"),
    SampleAccount("wu", "吴示例", "health", "technician"),
    SampleAccount("zhao", "赵示例", "police", "sharing_officer"),
    SampleAccount("zhou", "周示例", "supervision", "supervisor"),
    SampleAccount("zheng", "郑示例", "data", "coordinator"),
    SampleAccount("ma", "马示例", "platform", "platform_operator"),
    SampleAccount("huang", "黄示例", "civil-affairs", "sharing_officer"),
    SampleAccount("xu", "徐示例", "education", "clerk"),
    SampleAccount("he", "何示例", "disabled-federation", "clerk"),
    SampleAccount("bian", "卞示例", "staffing", "sharing_officer"),
    SampleAccount("fang", "方示例", "legal-affairs", "sharing_officer"),
    SampleAccount("wen", "温示例", "government-services", "sharing_officer"),
    SampleAccount("shi", "施示例", "government", "leader"),
)

APPLICATIONS = (
    SampleApplication("app-housing-rental", "housing", "公租房审核系统", "Public rental assessment"),
    SampleApplication("app-civil-affairs-relief", "civil-affairs", "社会救助系统", "Social relief"),
    SampleApplication("app-education-enrolment", "education", "学籍系统", "School enrolment"),
    SampleApplication("app-housing-estates", "housing", "公租房片区管理系统", "Public rental estates"),
)

FEED_APPLICATION = "app-housing-estates"
"""The system whose department's node follows a list into a table of its own."""
FEED_KEY = "household_registration"
FEED_TOWNS = ("榕城街道", "新圃街道")
"""The towns whose residents the feed holds; the story's family lives in the first."""
FEED_ITEMS = {
    "name": "入户走访时核对居民",
    "household_town_or_subdistrict": "知悉户籍迁移",
    "household_police_station": "知悉户籍迁移",
    "household_status": "知悉户籍注销",
    "cancellation_date": "确定片区人口变动时间",
    "cancellation_reason": "区分迁出与死亡",
}

HELD_KEY = "motor_vehicles"
"""From it comes the id of the entry whose data stay with their department: a mapping file names it."""
HELD_APPLICATIONS = ("app-housing-rental", "app-housing-portal")
"""The systems that may ask about it; the second are the pages."""
HELD_VERIFIED = ("vehicle_owner_name", "plate_number")
HELD_QUERIED = ("plate_number", "vehicle_brand", "vehicle_registered_on", "vehicle_state")


@dataclass(frozen=True)
class SampleDispute:
    """A dispute tied to no request, brought so many working days ago; `steps` are who, what and with what.

    A step that the regulation in force does not know ends the story there.
    """

    by: str
    kind: str
    respondent: str
    subject: str
    reason: str
    days_ago: int
    steps: tuple[tuple[str, str, dict[str, str]], ...] = ()


DISPUTES = (
    SampleDispute(
        "lin",
        "use",
        "health",
        "出生登记信息能否用于公租房续租审核（示例）",
        "续租审核与初次申请同属公租房资格审核职权，提供方认为须另行申请。",
        days_ago=6,
        steps=(("zheng", "minute", {"minutes": "第一次协商：双方说明各自理解，约定补充职权依据后再议。"}),),
    ),
    SampleDispute(
        "lin",
        "provision",
        "police",
        "户籍登记信息更新迟延（示例）",
        "目录载明按日更新，近两月多次迟于三日，影响资格审核。",
        days_ago=18,
        steps=(
            (
                "zheng",
                "fail",
                {"minutes": "双方对更新频度的起算点各执一词。", "result": "未达成一致，提交联合会审。"},
            ),
        ),
    ),
    SampleDispute(
        "xu",
        "data",
        "health",
        "出生日期与学籍登记不一致（示例）",
        "同一条目在两处记载不同，请责任采集部门核准。",
        days_ago=10,
        steps=(
            ("chen", "decide_value", {"result": "经核对原始登记，以出生登记信息所载为准，学籍一方更正。"}),
        ),
    ),
)

_SURNAMES = "王张刘杨黄周吴徐孙马朱胡郭何高罗郑梁谢宋唐许韩冯邓曹彭曾肖田董袁潘"


def sample_person(place: int) -> str:
    """Return an invented name that says that it is one."""
    return f"{_SURNAMES[place % len(_SURNAMES)]}示例"


CASES = (
    SampleCase(
        "huang",
        "death",
        "殡葬补贴核发（示例）",
        {"deceased_name": "核发对象核对", "death_date": "核发时限核对"},
        days_ago=12,
    ),
    SampleCase(
        "xu",
        "birth",
        "义务教育入学年龄核对（示例）",
        {"newborn_name": "核对入学儿童姓名", "birth_date": "核对入学年龄"},
        days_ago=9,
        applications=("app-education-enrolment",),
    ),
    SampleCase(
        "he",
        "birth",
        "残疾儿童康复救助（示例）",
        {"newborn_name": "核对救助对象", "birth_date": "核对年龄"},
        days_ago=3,
    ),
    SampleCase(
        "huang",
        "household_registration",
        "最低生活保障对象审核（示例）",
        {"name": "核对申请人姓名", "household_status": "核对户籍状态"},
        days_ago=40,
        reviewer="zhao",
        answered_after=4,
        granted=("name", "household_status"),
        applications=("app-civil-affairs-relief",),
    ),
    SampleCase(
        "lin",
        "household_registration",
        "公租房申请家庭户籍核对（示例）",
        {"name": "核对申请人姓名", "household_status": "核对户籍状态", "ethnicity": "登记表要求"},
        days_ago=25,
        reviewer="zhao",
        answered_after=5,
        granted=("name", "household_status"),
        refusal="与公租房资格审核无关，不属履行所述职权所需",
    ),
    SampleCase(
        "lin",
        "marriage_adoption",
        "公租房申请家庭婚姻状况核对（示例）",
        {"marital_status": "核对家庭成员关系", "marriage_registration_date": "核对婚姻起始日期"},
        days_ago=2,
        applications=("app-housing-rental",),
    ),
)
