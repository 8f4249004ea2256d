"""Invented births for benchmarks: the 13 items of Guangzhou 2016 art. 12, made from a serial number."""

from __future__ import annotations

from shuqiao.rules.identifiers import citizen_check_digit
from shuqiao.wire.schemas import ItemSpec, ResourceSpec

RESOURCE = "r440100benchbirth"
DEPARTMENT = "440100-health"
KEY = "birth_certificate_number"

SPEC = ResourceSpec(
    record_key=KEY,
    modes=("verify", "query"),
    items=(
        ItemSpec(KEY, "出生医学证号", "Birth certificate number", "string", True, "document", 2, True),
        ItemSpec("newborn_name", "新生儿姓名", "Name of the newborn", "string", True, "name", 2),
        ItemSpec("sex", "性别", "Sex", "string"),
        ItemSpec("sex_code", "性别代码", "Code of sex", "code"),
        ItemSpec("health_status", "健康状况", "State of health", "string"),
        ItemSpec("health_status_code", "健康状况代码", "Code of the state of health", "code"),
        ItemSpec("mother_name", "母亲姓名", "Name of the mother", "string", True, "name", 2),
        ItemSpec("mother_citizen_id_number", "母亲公民身份号码", "Mother", "string", True, "citizen_id", 3),
        ItemSpec("father_name", "父亲姓名", "Name of the father", "string", True, "name", 2),
        ItemSpec("father_citizen_id_number", "父亲公民身份号码", "Father", "string", True, "citizen_id", 3),
        ItemSpec("birth_date", "出生日期", "Date of birth", "date"),
        ItemSpec("certificate_issue_time", "证明发出时间", "Issued at", "datetime"),
        ItemSpec("certificate_issuing_unit", "证明发出单位", "Issued by", "string"),
    ),
)


def certificate(serial: int) -> str:
    """An invented certificate number."""
    return f"B{serial:09d}"


def _citizen(serial: int, year: int) -> str:
    first_17 = f"440103{year}{1 + serial // 1000 % 12:02d}{1 + serial // 12000 % 28:02d}{serial % 1000:03d}"
    return first_17 + citizen_check_digit(first_17)


def identity_row(serial: int) -> dict[str, str]:
    """What of a birth goes to the vault."""
    return {
        KEY: certificate(serial),
        "newborn_name": f"样例新生{serial}",
        "mother_name": f"样例母亲{serial}",
        "mother_citizen_id_number": _citizen(serial, 1985),
        "father_name": f"样例父亲{serial}",
        "father_citizen_id_number": _citizen(serial, 1983),
    }


def plain_row(serial: int) -> dict[str, str]:
    """What of a birth goes to the base table."""
    return {
        "sex": "女" if serial % 2 else "男",
        "sex_code": str(1 + serial % 2),
        "health_status": "健康或良好",
        "health_status_code": "10",
        "birth_date": f"2020-{1 + serial % 12:02d}-{1 + serial % 28:02d}",
        "certificate_issue_time": "2021-01-05 09:30:00+08",
        "certificate_issuing_unit": f"样例医院{serial % 40}",
    }
