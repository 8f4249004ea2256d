"""Distinct types for ids, and the one way to make or parse each: bounded, ASCII, by full match.

Parsing outside text raises RequestMalformed with the kind of id, never with the text itself.
"""

from __future__ import annotations

import hashlib
import re
from base64 import b32encode
from typing import NewType

from shuqiao.rules.errors import RequestMalformed

RegionCode = NewType("RegionCode", str)
ResourceId = NewType("ResourceId", str)
DepartmentCode = NewType("DepartmentCode", str)
ApplicationId = NewType("ApplicationId", str)
KeyId = NewType("KeyId", str)
GrantId = NewType("GrantId", str)
RequestNo = NewType("RequestNo", str)
DisputeNo = NewType("DisputeNo", str)
SessionNo = NewType("SessionNo", str)
OutsideNo = NewType("OutsideNo", str)
PublicationNo = NewType("PublicationNo", str)
ProjectNo = NewType("ProjectNo", str)
ExchangeSystemNo = NewType("ExchangeSystemNo", str)
BusinessSystemNo = NewType("BusinessSystemNo", str)
CertificateNo = NewType("CertificateNo", str)
ClaimNo = NewType("ClaimNo", str)
PlanNo = NewType("PlanNo", str)
CheckNo = NewType("CheckNo", str)
CompilationNo = NewType("CompilationNo", str)
UpkeepNo = NewType("UpkeepNo", str)
DataChangeNo = NewType("DataChangeNo", str)
AlarmNo = NewType("AlarmNo", str)
RecallNo = NewType("RecallNo", str)
ItemField = NewType("ItemField", str)

_REGION = re.compile(r"[1-9][0-9]{5}", re.ASCII)
_RESOURCE = re.compile(r"r[1-9][0-9]{5}[a-z2-7]{10}", re.ASCII)
_DEPARTMENT = re.compile(r"[1-9][0-9]{5}-[a-z][a-z0-9]*(?:-[a-z0-9]+){0,5}", re.ASCII)
_APPLICATION = re.compile(r"app-[a-z0-9]+(?:-[a-z0-9]+){0,7}", re.ASCII)
_KEY = re.compile(r"[0-9a-f]{16}", re.ASCII)
_GRANT = re.compile(r"G-[0-9]{4}-[0-9]{4,9}", re.ASCII)
_REQUEST = re.compile(r"R-[0-9]{4}-[0-9]{4,9}", re.ASCII)
_FIELD = re.compile(r"[a-z][a-z0-9_]{0,62}", re.ASCII)

_LONGEST = 64


def _parsed(pattern: re.Pattern[str], text: str, part: str) -> str:
    # The length goes first, so that no pattern ever works on unbounded text.
    if len(text) > _LONGEST or pattern.fullmatch(text) is None:
        raise RequestMalformed(part=part)
    return text


def parse_region_code(text: str) -> RegionCode:
    """Six digits of GB/T 2260; whether the code exists is not checked."""
    return RegionCode(_parsed(_REGION, text, "region code"))


def parse_resource_id(text: str) -> ResourceId:
    """For example `r440100x7kq2m5dab`."""
    return ResourceId(_parsed(_RESOURCE, text, "resource id"))


def parse_department_code(text: str) -> DepartmentCode:
    """For example `440100-health`."""
    return DepartmentCode(_parsed(_DEPARTMENT, text, "department code"))


def parse_application_id(text: str) -> ApplicationId:
    """For example `app-housing-rental`."""
    return ApplicationId(_parsed(_APPLICATION, text, "application id"))


def parse_key_id(text: str) -> KeyId:
    """First 16 hex digits of SHA-256 of the public key."""
    return KeyId(_parsed(_KEY, text, "key id"))


def parse_grant_id(text: str) -> GrantId:
    """For example `G-2026-0001`."""
    return GrantId(_parsed(_GRANT, text, "grant"))


def parse_request_no(text: str) -> RequestNo:
    """For example `R-2026-0001`."""
    return RequestNo(_parsed(_REQUEST, text, "request number"))


def parse_item_field(text: str) -> ItemField:
    """The ASCII name of an item, also its column name: at most 63 characters, as PostgreSQL allows."""
    return ItemField(_parsed(_FIELD, text, "item"))


def resource_id(region: str, key: str) -> ResourceId:
    """The id of a seeded list: the same on every machine, different for every region and key."""
    parse_region_code(region)
    digest = hashlib.sha256(f"{region}/{key}".encode()).digest()
    return ResourceId(f"r{region}{b32encode(digest).decode('ascii').lower()[:10]}")


RANDOM_BYTES = 7
"""So many random bytes make the id of an entry being compiled; 50 bits of them are used."""


def new_resource_id(region: str, drawn: bytes) -> ResourceId:
    """An id for an entry being compiled, of random bytes; the database refuses a second of the same."""
    parse_region_code(region)
    if len(drawn) != RANDOM_BYTES:
        raise ValueError("not as many random bytes as an id is made of")
    return ResourceId(f"r{region}{b32encode(drawn).decode('ascii').lower()[:10]}")


def department_code(region: str, word: str) -> DepartmentCode:
    """Region and code word joined, for example `440100-health`."""
    return parse_department_code(f"{region}-{word}")


def key_id(public_key_der: bytes) -> KeyId:
    """The id of a public key given as SubjectPublicKeyInfo DER."""
    return KeyId(hashlib.sha256(public_key_der).hexdigest()[:16])


def request_no(year: int, number: int) -> RequestNo:
    """The number of a request: counted within its year, at least four digits."""
    return RequestNo(_numbered("R", year, number))


def grant_no(year: int, number: int) -> GrantId:
    """The number of a grant: counted within its year, at least four digits."""
    return GrantId(_numbered("G", year, number))


def dispute_no(year: int, number: int) -> DisputeNo:
    """The number of a dispute: counted within its year, at least four digits."""
    return DisputeNo(_numbered("D", year, number))


def session_no(year: int, number: int) -> SessionNo:
    """The number of a session of the joint review: counted within its year, at least four digits."""
    return SessionNo(_numbered("S", year, number))


def outside_no(year: int, number: int) -> OutsideNo:
    """The number of a request outside the catalogue: counted within its year, at least four digits."""
    return OutsideNo(_numbered("O", year, number))


def publication_no(year: int, number: int) -> PublicationNo:
    """The number of a request to publish: counted within its year, at least four digits."""
    return PublicationNo(_numbered("P", year, number))


def project_no(year: int, number: int) -> ProjectNo:
    """The number of a special project (专项): counted within its year, at least four digits."""
    return ProjectNo(_numbered("Z", year, number))


def claim_no(year: int, number: int) -> ClaimNo:
    """The number of a second claim to a datum: counted within its year, at least four digits."""
    return ClaimNo(_numbered("Q", year, number))


def plan_no(year: int, number: int) -> PlanNo:
    """The number of a planned collection: counted within its year, at least four digits."""
    return PlanNo(_numbered("K", year, number))


def check_no(year: int, number: int) -> CheckNo:
    """The number of a check of a form: counted within its year, at least four digits."""
    return CheckNo(_numbered("F", year, number))


def compilation_no(year: int, number: int) -> CompilationNo:
    """The number of a case of the catalogue: counted within its year, at least four digits."""
    return CompilationNo(_numbered("C", year, number))


def upkeep_no(year: int, number: int) -> UpkeepNo:
    """The number of a change that the catalogue must follow: counted within its year, four digits or more."""
    return UpkeepNo(_numbered("U", year, number))


def data_change_no(year: int, number: int) -> DataChangeNo:
    """The number of a change that shared data must follow: counted within its year, four digits or more."""
    return DataChangeNo(_numbered("V", year, number))


def alarm_no(year: int, number: int) -> AlarmNo:
    """The number of an alarm over unusual use: counted within its year, at least four digits."""
    return AlarmNo(_numbered("W", year, number))


def recall_no(year: int, number: int) -> RecallNo:
    """The number of a recall of copies: counted within its year, at least four digits."""
    return RecallNo(_numbered("L", year, number))


def exchange_system_no(year: int, number: int) -> ExchangeSystemNo:
    """The number of another exchange system: counted within its year, at least four digits."""
    return ExchangeSystemNo(_numbered("X", year, number))


def business_system_no(year: int, number: int) -> BusinessSystemNo:
    """The number of a department's business system: counted within its year, at least four digits."""
    return BusinessSystemNo(_numbered("B", year, number))


def certificate_no(year: int, number: int) -> CertificateNo:
    """The number of a certificate of interconnection: counted within its year, at least four digits."""
    return CertificateNo(_numbered("T", year, number))


def _numbered(letter: str, year: int, number: int) -> str:
    if not (1000 <= year <= 9999 and 1 <= number <= 999_999_999):
        raise ValueError("year or number out of range")
    return f"{letter}-{year}-{number:04d}"
