"""Building the sharing catalogue from the base lists of a regulation."""

from dataclasses import dataclass
from datetime import date, datetime

from django.db import connection, transaction

from shuqiao.control import clock
from shuqiao.control.audit.actions import append_entry
from shuqiao.control.basedata.tables import create_list
from shuqiao.control.catalogue import search
from shuqiao.control.catalogue.entries import entry_json
from shuqiao.control.catalogue.models import (
    Item,
    Resource,
    ResourceVersion,
    Service,
    ServiceKind,
    SharingChange,
    SharingVersion,
    SubjectSequence,
)
from shuqiao.control.catalogue.services import write_exchange
from shuqiao.control.catalogue.sharing import initial_sharing
from shuqiao.control.catalogue.words import search_text
from shuqiao.control.organisations.models import Department
from shuqiao.control.regulations.current import data_lists
from shuqiao.control.regulations.queries import article_ref
from shuqiao.control.standards.loading import load_standards
from shuqiao.control.standards.queries import Binder, binder
from shuqiao.rules import catalogue as rules
from shuqiao.rules.entries import Entry, EntryItem, entry_code
from shuqiao.rules.errors import FieldRequired
from shuqiao.rules.ids import resource_id
from shuqiao.rules.procedures import latest_until
from shuqiao.rules.regulation import Regulation

PLATFORM = "市政府信息共享平台"
SCOPE = "本市各级行政机关，按法定职权申请使用"


def load_base_lists(regulation: Regulation, actor: str) -> int:
    """Create the entries of a regulation's catalogue that aren't there yet; return how many were created.

    An entry that is there stays as it is: changes go through the catalogue's procedure. Each entry, its
    base table and its row for the plane come in one transaction.
    Source: guangzhou-2016 art. 3(3), 28(2), 30(1).
    """
    load_standards(actor)
    standards, region = binder(), regulation.region
    opened = 0
    for given in lists_to_open(regulation, region):
        departments = tuple(_department(region, word) for word in given.departments)
        opened += open_list(
            regulation, given, Place(region, departments, PLATFORM, given.code), actor, standards
        )
    return opened


def lists_to_open(regulation: Regulation, region: str) -> list[rules.DataList]:
    """The lists of a regulation's catalogue that have no entry in a region yet."""
    lists = {resource_id(region, given.key): given for given in data_lists(regulation.id)}
    there = set(Resource.objects.filter(id__in=lists).values_list("id", flat=True))
    return [given for rid, given in lists.items() if rid not in there]


@dataclass(frozen=True)
class Place:
    """Where a list of the law is opened: on which platform, and for which bodies, the responsible one first.

    Without a code it gets the next one of its classification. `city_entry` is the city's entry of the list.
    """

    region: str
    departments: tuple[Department, ...]
    platform: str
    code: str = ""
    city_entry: str = ""


@transaction.atomic
def open_list(
    regulation: Regulation, given: rules.DataList, place: Place, actor: str, standards: Binder
) -> int:
    """Open one list of the law at a place; return 0 where it is open already. Safe late and twice."""
    rid = resource_id(place.region, given.key)
    with connection.cursor() as cursor:
        # Two seedings at once: the second waits and then finds the entry.
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext('publish'), hashtext(%s))", [rid])
    if Resource.objects.filter(id=rid).exists():
        return 0
    resource = _create_resource(regulation, given, rid, place, standards)
    items = Item.objects.bulk_create(
        _item(resource, item, given, regulation.verify_only_from_sensitivity, standards)
        for item in given.items
    )
    sharing = initial_sharing(resource, regulation)
    if sharing is not None:
        sharing.save(force_insert=True)
    write_exchange(resource, items)
    create_list(rid)
    _index(resource, items, place.departments)
    append_entry(
        "entry_published",
        actor=actor,
        at=clock.now(),
        outcome="published",
        department=resource.department_id,
        provider=resource.department_id,
        resource_id=rid,
        facts={
            "version": 1,
            "regulation": regulation.id,
            "articles": [given.article],
            "items": len(items),
            "region": place.region,
        },
    )
    return 1


def _department(region: str, word: str) -> Department:
    department = Department.objects.filter(region=region, word=word).first()
    if department is None:
        raise FieldRequired(field=f"责任采集部门 {region}-{word}")
    return department


def _create_resource(
    regulation: Regulation,
    given: rules.DataList,
    rid: str,
    place: Place,
    standards: Binder,
) -> Resource:
    now = clock.now()
    until = latest_until(clock.legal_day(now), regulation.entry_months)
    code = place.code or entry_code(given.code.partition("/")[0], _next_number(given.code))
    entry = entry_of_list(given, place, regulation, until, standards)
    resource = Resource.objects.create(
        id=rid,
        code=code,
        list_key=given.key,
        regulation=regulation.id,
        article=given.article,
        category_zh=given.category_zh,
        category_en=given.category_en,
        name_zh=given.zh,
        name_en=given.en,
        summary_zh=given.summary_zh,
        summary_en=given.summary_en,
        department=place.departments[0],
        record_key=given.record_key,
        library=given.library,
        update_cycle=given.update_cycle,
        modes=list(given.modes),
        platform_zh=place.platform,
        scope_zh=SCOPE,
        published_at=now,
        content=entry_json(entry),
        subject=entry.subject,
        region=place.region,
        city_entry_id=place.city_entry or None,
        format=entry.format,
        library_kind=entry.library_kind,
        share_type=entry.share_type,
        open_to_public=False,
        shared_until=until,
    )
    resource.joint_departments.set(place.departments)
    _publish_first(resource, now)
    Service.objects.create(resource=resource, kind=ServiceKind.TABLE, offered_at=now)
    _keep_number(code)
    return resource


def _publish_first(resource: Resource, at: datetime) -> None:
    """Write the first version of an entry into the resource catalogue and the sharing catalogue."""
    source = article_ref(resource.article, resource.regulation).cite
    version = ResourceVersion.objects.create(
        resource=resource,
        version=1,
        content=resource.content,
        note_zh=f"依{source.zh}建目录",
        note_en=f"Made from {source.en}",
        published_at=at,
    )
    SharingVersion.objects.create(resource=resource, of=version, change=SharingChange.ADDED, published_at=at)


def _next_number(code: str) -> int:
    """The next number within the classification of a code, whose row is locked until the end."""
    subject = code.partition("/")[0]
    row, _ = SubjectSequence.objects.select_for_update().get_or_create(subject=subject)
    return row.last + 1


def _keep_number(code: str) -> None:
    """Let numbers given out later within a classification begin after this one."""
    subject, _, number = code.partition("/")
    row, _ = SubjectSequence.objects.select_for_update().get_or_create(subject=subject)
    if row.last < int(number):
        row.last = int(number)
        row.save(update_fields=["last"])


def entry_of_list(
    given: rules.DataList,
    place: Place,
    regulation: Regulation,
    until: date,
    standards: Binder,
) -> Entry:
    """What one of the law's lists says as an entry of the catalogue."""
    share_type, departments = regulation.share_types.default or "", place.departments
    interface_only = regulation.exchange.confines((), given.update_cycle)
    return Entry(
        name_zh=given.zh,
        name_en=given.en,
        summary_zh=given.summary_zh,
        summary_en=given.summary_en,
        subject=given.code.partition("/")[0],
        department=departments[0].code,
        joint=tuple(department.code for department in departments[1:]),
        collecting=departments[0].code,
        verifying=departments[0].code,
        origin="direct",
        forms=("structured",),
        format="database",
        format_detail="postgresql",
        library_kind="base",
        library=given.library,
        share_type=share_type,
        manner=("platform_service" if interface_only else "platform_database",),
        scope=SCOPE,
        use="履行法定职权",
        open_to_public=False,
        update_cycle=given.update_cycle,
        timeliness="按更新周期提供",
        platform=place.platform,
        shared_until=until,
        modes=given.modes,
        record_key=given.record_key,
        city_entry=place.city_entry,
        obliged_by=regulation.cite(given.article),
        digitisation="database",
        not_secret=True,
        items=tuple(_entry_item(item, given.record_key, standards) for item in given.items),
    )


# The letter of the catalogue's data type for each way the platform keeps a value.
_LETTERS = {"string": "C", "code": "C", "text": "M", "date": "D", "datetime": "T", "image": "G"}


def _bound(item: rules.Item, standards: Binder) -> tuple[str, str]:
    """The data element and the code list that an item of the law follows, by their keys."""
    return standards.bind((item.zh, item.field), item.type, [code.value for code in item.codes or ()])


def _entry_item(item: rules.Item, record_key: str, standards: Binder) -> EntryItem:
    element, code_list = _bound(item, standards)
    return EntryItem(
        field=item.field,
        zh=item.zh,
        en=item.en,
        data_type=_LETTERS[item.type],
        length=item.length,
        standard=element,
        code_list=code_list,
        codes=tuple((code.value, code.zh) for code in item.codes or ()),
        sensitivity=item.sensitivity,
        identity=item.identity,
        kind=item.kind,
        required=item.required,
        key=item.field == record_key,
    )


def _item(
    resource: Resource,
    given: rules.Item,
    of: rules.DataList,
    verify_only_from: int,
    standards: Binder,
) -> Item:
    element, code_list = _bound(given, standards)
    confined = given.sensitivity >= verify_only_from or given.type == "image"
    return Item(
        resource=resource,
        number=given.number,
        part=given.part,
        part_of_zh=given.part_of,
        field=given.field,
        zh=given.zh,
        en=given.en,
        type=given.type,
        length=given.length,
        identity=given.identity,
        kind=given.kind,
        sensitivity=given.sensitivity,
        data_type=_LETTERS[given.type],
        is_key=given.field == of.record_key,
        standard=element,
        code_list=code_list,
        codes={code.value: code.zh for code in given.codes} if given.codes is not None else None,
        required=given.required,
        modes=[mode for mode in of.modes if mode == "verify" or not confined],
        companion=given.companion,
        only_with={"field": given.only_with[0], "values": given.only_with[1]} if given.only_with else None,
        article=given.article if given.companion else "",
    )


def _index(resource: Resource, items: list[Item], departments: tuple[Department, ...]) -> None:
    others = [resource.summary_zh, resource.summary_en, resource.category_zh]
    others += [name for d in departments for name in (d.name_zh, d.short_zh, d.name_en)]
    text = search_text(resource.name_zh, resource.name_en, [(item.zh, item.en) for item in items], others)
    search.store_search_text(resource.id, text)
