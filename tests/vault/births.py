"""An invented list of births, shaped like the catalogue's, and batches of it sealed as a node seals them."""

from collections.abc import Sequence

import pyarrow as pa
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey

from shuqiao.rules.identifiers import citizen_check_digit
from shuqiao.security.sealing import seal
from shuqiao.wire.package import encode_part, sealing_context
from shuqiao.wire.schemas import ItemSpec, ResourceSpec, arrow_schema, identity_items

RESOURCE = "r440100x7kq2m5dab"
DEPARTMENT = "440100-health"
KEY = "birth_certificate_number"

BIRTH = ResourceSpec(
    record_key=KEY,
    modes=("verify", "query"),
    items=(
        ItemSpec(KEY, "出生医学证号", "Birth certificate number", "string", True, "document", 2, True),
        ItemSpec("newborn_name", "新生儿姓名", "Name of the newborn", "string", True, "name", 2),
        ItemSpec("sex_code", "性别代码", "Sex", "code"),
        ItemSpec(
            "mother_name", "母亲姓名", "Name of the mother", "string", True, "name", 2, True, masked=True
        ),
        ItemSpec(
            "mother_citizen_id_number",
            "母亲公民身份号码",
            "Number of the mother",
            "string",
            True,
            "citizen_id",
            3,
            masked=True,
        ),
        ItemSpec("father_name", "父亲姓名", "Name of the father", "string", True, "name", 2),
        ItemSpec(
            "father_citizen_id_number",
            "父亲公民身份号码",
            "Number of the father",
            "string",
            True,
            "citizen_id",
            3,
        ),
    ),
)

HOUSEHOLD_RESOURCE = "r440100abcdefgh23"
HOUSEHOLD = ResourceSpec(
    record_key="citizen_id_number",
    modes=("verify",),
    items=(
        ItemSpec("citizen_id_number", "公民身份号码", "Number", "string", True, "citizen_id", 3, True),
        ItemSpec("name", "姓名", "Name", "string", True, "name", 2, True),
        ItemSpec("photo", "相片", "Photo", "image", True, "picture", 3),
    ),
)

Row = dict[str, str | bytes | None]


def citizen_number(serial: int, born: str = "19900101", region: str = "440103") -> str:
    """An invented number with a right check digit."""
    first_17 = f"{region}{born}{serial % 1000:03d}"
    return first_17 + citizen_check_digit(first_17)


def certificate(serial: int) -> str:
    """An invented birth certificate number."""
    return f"S{serial:09d}"


def birth(serial: int, **changes: str | None) -> Row:
    """One invented birth; every part of it follows from the serial number."""
    row: Row = {
        KEY: certificate(serial),
        "newborn_name": f"样例新生{serial}",
        "mother_name": f"样例母亲{serial}",
        "mother_citizen_id_number": citizen_number(serial, f"19{70 + serial // 1000 % 30}0101"),
        "father_name": f"样例父亲{serial}",
        "father_citizen_id_number": citizen_number(serial, f"19{70 + serial // 1000 % 30}0202"),
    }
    return row | changes


def sealed_rows(
    key: X25519PublicKey,
    rows: Sequence[Row],
    *,
    generation: int = 1,
    sequence: int = 1,
    resource: str = RESOURCE,
    department: str = DEPARTMENT,
    spec: ResourceSpec = BIRTH,
) -> bytes:
    """Seal rows as the identity part of a batch."""
    part = pa.RecordBatch.from_pylist(list(rows), arrow_schema(identity_items(spec)))
    return seal(key, encode_part(part), sealing_context(department, resource, generation, sequence))
