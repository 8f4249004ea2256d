"""The departments of the sample city: all that chapter 2 of the 2016 rules names, and those of the story."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

CITY: Final = "440100"


@dataclass(frozen=True, slots=True)
class Department:
    """One department. `named_as` lists how chapter 2 of the 2016 rules names it, empty if it does not."""

    code: str
    name_zh: str
    short_zh: str
    name_en: str
    named_as: tuple[str, ...] = ()


def _department(word: str, names: tuple[str, str, str], *named_as: str) -> Department:
    return Department(f"{CITY}-{word}", *names, named_as)


DEPARTMENTS: Final[tuple[Department, ...]] = (
    _department("police", ("市公安局", "市公安局", "Public Security Bureau"), "公安机关"),
    _department(
        "migrants",
        ("市来穗人员服务管理局", "市来穗局", "Bureau of Services for Incoming Residents"),
        "来穗人员服务管理部门",
    ),
    _department("towns", ("镇人民政府", "镇政府", "Town Governments"), "镇人民政府"),
    _department("subdistricts", ("街道办事处", "街道办", "Subdistrict Offices"), "街道办事处"),
    _department(
        "civil-affairs", ("市民政局", "市民政局", "Civil Affairs Bureau"), "民政部门", "民政主管部门"
    ),
    _department(
        "health",
        ("市卫生健康委员会", "市卫健委", "Health Commission"),
        "卫生和计划生育行政部门",
    ),
    _department(
        "human-resources",
        ("市人力资源和社会保障局", "市人社局", "Human Resources and Social Security Bureau"),
        "人力资源和社会保障部门",
    ),
    _department("education", ("市教育局", "市教育局", "Education Bureau"), "教育行政部门"),
    _department("universities", ("普通高等学校", "高校", "Universities and Colleges"), "普通高等学校"),
    _department(
        "research-institutes",
        ("科学研究机构", "科研机构", "Research Institutes"),
        "科学研究机构",
        "从事相关研究的事业单位",
    ),
    _department(
        "disabled-persons", ("市残疾人联合会", "市残联", "Disabled Persons' Federation"), "残疾人联合会"
    ),
    _department(
        "housing-fund",
        ("市住房公积金管理中心", "公积金中心", "Housing Provident Fund Centre"),
        "住房公积金管理中心",
    ),
    _department(
        "licensing",
        ("职业资格证书和执业证书颁发机构", "发证机构", "Professional Licensing Bodies"),
        "有权颁发职业资格证书和执业证书的行政机关和组织",
    ),
    _department(
        "market",
        ("市市场监督管理局", "市市场监管局", "Market Supervision Bureau"),
        "工商行政管理部门",
        "质量技术监督部门",
        "市场监督管理部门",
    ),
    _department("tax", ("市税务局", "市税务局", "Tax Bureau"), "地方税务部门", "国家税务部门", "税务机关"),
    _department("staffing", ("市机构编制委员会办公室", "市编办", "Staffing Office"), "机构编制管理部门"),
    _department(
        "institution-registry",
        ("市事业单位登记管理局", "市事业登记局", "Public Institution Registry"),
        "事业单位登记管理部门",
    ),
    _department(
        "natural-resources",
        ("市规划和自然资源局", "市规划资源局", "Planning and Natural Resources Bureau"),
        "国土资源部门",
        "海洋部门",
    ),
    _department(
        "agriculture", ("市农业农村局", "市农业农村局", "Agriculture and Rural Affairs Bureau"), "农业部门"
    ),
    _department("forestry", ("市林业和园林局", "市林业园林局", "Forestry and Parks Bureau"), "林业部门"),
    _department("water", ("市水务局", "市水务局", "Water Authority"), "水利部门"),
    _department("weather", ("市气象局", "市气象局", "Meteorological Bureau"), "气象部门"),
    _department(
        "environment", ("市生态环境局", "市生态环境局", "Ecology and Environment Bureau"), "环境保护部门"
    ),
    _department(
        "social-organisations",
        ("市社会组织管理局", "市社管局", "Social Organisations Bureau"),
        "社会组织管理部门",
    ),
    _department("housing", ("市住房和城乡建设局", "市住建局", "Housing and Urban-Rural Development Bureau")),
    _department("medical-security", ("市医疗保障局", "市医保局", "Medical Security Bureau")),
    _department(
        "data", ("市政务服务和数据管理局", "市政数局", "Government Services and Data Administration")
    ),
    _department("platform", ("市信息共享平台管理中心", "平台中心", "Platform Management Centre")),
    _department("government", ("市人民政府办公厅", "市府办公厅", "General Office of the City Government")),
    _department("supervision", ("市监察委员会", "市监委", "Supervision Commission")),
)

_BY_NAME: Final = {name: department for department in DEPARTMENTS for name in department.named_as}


def department_named(name_zh: str) -> Department:
    """Return the department that chapter 2 calls `name_zh`; KeyError if it names none so."""
    return _BY_NAME[name_zh]
