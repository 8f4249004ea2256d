"""Sample entries of a department's own catalogue at every stage of their way. All are invented and say so.

Steps that the regulation in force does not know end an entry's story there.
"""

from dataclasses import dataclass, replace
from datetime import datetime

from django.db import transaction

from shuqiao.control import clock
from shuqiao.control.accounts.access import Viewer
from shuqiao.control.compiling.actions import MarkInput, mark_places, take_step
from shuqiao.control.compiling.drafts import DraftInput, save_draft
from shuqiao.control.compiling.models import Compilation
from shuqiao.control.operations.sample import HELD_KEY
from shuqiao.rules.entries import Entry, EntryItem
from shuqiao.rules.ids import resource_id
from shuqiao.rules.procedures import latest_until
from shuqiao.rules.regulation import Regulation
from shuqiao.rules.sharing import middle_type

PEOPLE = ("huang", "zhao", "ma", "zheng", "shi")
PROPOSED = (("", "submit"),)
COMPILED = (*PROPOSED, ("ma", "compile"))
PUBLISHED = (
    *COMPILED,
    ("zheng", "mark"),
    ("zheng", "verify"),
    ("shi", "approve"),
    ("zheng", "publish"),
)
MARK = "mark"


@dataclass(frozen=True)
class SampleEntry:
    """An entry and the steps taken with it: whose account, empty for `by`, and which action.

    `by` compiles it for their department; with `key` its id is the same on every machine.
    """

    entry: Entry
    steps: tuple[tuple[str, str], ...]
    by: str = "huang"
    key: str = ""


def _item(field: str, zh: str, en: str, data_type: str = "C", length: int | None = 100) -> EntryItem:
    return EntryItem(
        field=field, zh=zh, en=en, data_type=data_type, length=length if data_type == "C" else None
    )


_CARE_HOMES = Entry(
    name_zh="养老机构床位信息（示例）",
    name_en="Care homes and their beds (sample)",
    summary_zh="示例：全市养老机构的核定床位与空余床位，按月更新。",
    summary_en="Sample: approved and free beds of the city's care homes, monthly.",
    subject="20300101",
    open_to_public=True,
    open_conditions="注明来源",
    modes=("query", "bulk"),
    # The one entry of the city that may also be handed over on a disk.
    manner=("platform_database", "disc"),
    items=(
        replace(
            _item("care_home_code", "养老机构备案号", "Record number", length=30), key=True, required=True
        ),
        _item("care_home_name", "养老机构名称", "Name of the care home"),
        _item("approved_beds", "核定床位数", "Approved beds", "I"),
        _item("free_beds", "空余床位数", "Free beds", "I"),
        replace(_item("counted_on", "床位统计日期", "Counted on", "D"), timestamp=True),
    ),
    record_key="care_home_code",
)
_FUNERAL_HOMES = Entry(
    name_zh="殡葬服务机构名录（示例）",
    name_en="Funeral service institutions (sample)",
    summary_zh="示例：殡仪馆、公墓等服务机构的服务项目和开放时间，以文件提供。",
    summary_en="Sample: services and opening hours of funeral homes and cemeteries, given as files.",
    subject="20100101",
    open_to_public=True,
    forms=("text",),
    format="document",
    format_detail="pdf",
    manner=("platform_file",),
    digitisation="files",
    modes=("bulk",),
    items=(
        replace(
            _item("funeral_permit", "殡葬服务许可编号", "Permit number", length=30), key=True, required=True
        ),
        _item("funeral_services", "殡葬服务项目", "Services"),
        _item("funeral_hours", "殡葬服务开放时间", "Opening hours"),
    ),
    record_key="funeral_permit",
)
_RESCUE = Entry(
    name_zh="临时救助发放信息（示例）",
    name_en="Temporary relief paid (sample)",
    summary_zh="示例：临时救助的批次、金额和发放日期，供核对重复救助。",
    summary_en="Sample: rounds, amounts and days of temporary relief, to check against double payment.",
    subject="20300102",
    open_to_public=False,
    items=(
        replace(_item("relief_case", "临时救助案号", "Case number", length=30), key=True, required=True),
        replace(_item("relief_amount", "临时救助金额", "Amount", "Y"), sensitivity=2),
        _item("relief_paid_on", "临时救助发放日期", "Paid on", "D"),
    ),
    record_key="relief_case",
)
_VOLUNTEERS = Entry(
    name_zh="志愿服务组织信息（示例）",
    name_en="Volunteer organisations (sample)",
    summary_zh="示例：已登记志愿服务组织的服务领域和注册人数。",
    summary_en="Sample: fields of work and members of registered volunteer organisations.",
    subject="20100102",
    items=(
        replace(
            _item("volunteer_org_code", "志愿服务组织编号", "Number", length=30), key=True, required=True
        ),
        _item("volunteer_field", "志愿服务领域", "Field of work"),
        _item("volunteer_members", "注册志愿者人数", "Members", "I"),
    ),
    record_key="volunteer_org_code",
)
_PLACE_NAMES = Entry(
    name_zh="标准地名信息（示例）",
    name_en="Standard place names (sample)",
    summary_zh="示例：标准地名及其由来，尚在整理。",
    subject="10300101",
    items=(_item("place_name", "标准地名", "Place name"),),
)
_VEHICLES = Entry(
    name_zh="机动车登记信息（示例）",
    name_en="Registered motor vehicles (sample)",
    summary_zh="示例：机动车所有人及车辆登记情况。数据留存本部门，由其前置机应答核验和查询。",
    summary_en="Sample: motor vehicles and their owners. They stay with the department, whose node answers.",
    subject="10100101",
    open_to_public=False,
    modes=("verify", "query"),
    manner=("platform_service",),
    update_cycle="daily",
    timeliness="当日",
    items=(
        replace(
            _item("vehicle_owner_number", "机动车所有人证件号码", "Owner's number", length=18),
            key=True,
            required=True,
            identity=True,
            kind="citizen_id",
            sensitivity=3,
        ),
        replace(
            _item("vehicle_owner_name", "机动车所有人姓名", "Owner's name", length=60),
            identity=True,
            kind="name",
            sensitivity=1,
        ),
        replace(_item("plate_number", "机动车号牌号码", "Plate number", length=15), sensitivity=2),
        replace(_item("vehicle_brand", "车辆品牌", "Make", length=30), sensitivity=1),
        replace(_item("vehicle_registered_on", "车辆注册登记日期", "Registered on", "D"), sensitivity=1),
        replace(
            _item("vehicle_state", "机动车登记状态", "State of the registration", length=10), sensitivity=1
        ),
    ),
    record_key="vehicle_owner_number",
)

ENTRIES = (
    SampleEntry(_CARE_HOMES, PUBLISHED),
    SampleEntry(_FUNERAL_HOMES, PUBLISHED, key="funeral_homes"),
    SampleEntry(_RESCUE, COMPILED),
    SampleEntry(_VOLUNTEERS, PROPOSED),
    SampleEntry(_PLACE_NAMES, ()),
    SampleEntry(_VEHICLES, PUBLISHED, by="zhao", key=HELD_KEY),
)
"""Published, to be verified, to be compiled, an unfinished draft; and one whose data stay where they are."""


@transaction.atomic
def seed_catalogue(regulation: Regulation, viewers: dict[str, Viewer], on: datetime) -> None:
    """Compile the sample entries, each as far as its story goes."""
    if Compilation.objects.exists():
        return
    known = {step.action for step in regulation.procedure("entry").transitions} | {MARK}
    with clock.fixed(on):
        for sample in ENTRIES:
            _play(sample, regulation, viewers, known)


def _play(sample: SampleEntry, regulation: Regulation, viewers: dict[str, Viewer], known: set[str]) -> None:
    compiler = viewers[sample.by]
    own = replace(sample.entry, department=compiler.department.code)
    entry = _whole(own, regulation) if sample.steps else own
    resource = resource_id(regulation.region, sample.key) if sample.key else ""
    number = save_draft(compiler, DraftInput(content=entry, resource=resource)).number
    for named, action in sample.steps:
        username = named or sample.by
        if action not in known:
            return
        if action == MARK:
            places = [MarkInput(f"items.{item.field}", accepted=True) for item in entry.items]
            mark_places(viewers[username], number, places)
        else:
            take_step(viewers[username], number, action)


def _whole(entry: Entry, regulation: Regulation) -> Entry:
    """Fill what every sample entry says alike."""
    middle = middle_type(regulation)
    return replace(
        entry,
        collecting=entry.department,
        verifying=entry.department,
        origin="direct",
        forms=entry.forms or ("structured",),
        format=entry.format or "database",
        format_detail=entry.format_detail or "postgresql",
        library_kind="business",
        library="department",
        share_type=middle.key if middle else "",
        ground="示例规定" if middle else "",
        ground_rank="law" if middle else "",
        conditions="按职责使用" if middle else "",
        manner=entry.manner or ("platform_database",),
        scope="本市各级行政机关",
        use="履行法定职权",
        update_cycle=entry.update_cycle or "monthly",
        timeliness=entry.timeliness or "次月五日前",
        platform="市政府信息共享平台",
        shared_until=latest_until(clock.today(), regulation.entry_months),
        modes=entry.modes or ("query",),
        duty=1,
        digitisation=entry.digitisation or "database",
        not_secret=True,
        open_to_public=bool(entry.open_to_public),
    )
