"""Taking the standards that the platform ships into the city's; what the office has changed stays."""

from django.db import transaction
from pypinyin import Style, lazy_pinyin

from shuqiao.control import clock
from shuqiao.control.audit.actions import append_entry
from shuqiao.control.standards.contents import Content, Kind, content_json
from shuqiao.control.standards.files import shipped
from shuqiao.control.standards.models import Standard, StandardVersion

FIRST = "平台初始标准"
NEWER = "平台数据文件更新"
EVENT = "standard_published"

_CONTENT = ("version", "zh", "en", "pinyin_key", "content", "search_text", "ended")


@transaction.atomic
def load_standards(actor: str) -> int:
    """Add what is new in the files, and follow the files where nobody else has; return how many.

    May be repeated. A standard that the office has published a version of is left to the office.
    """
    rows = {(row.kind, row.key): row for row in Standard.objects.select_for_update()}
    office = set(
        StandardVersion.objects.filter(published_by__isnull=False).values_list("standard_id", flat=True)
    )
    loaded = []
    for (kind, key), content in shipped().items():
        row = rows.get((kind.value, key))
        stored = content_json(content)
        if row is None:
            loaded.append((Standard(kind=kind.value, key=key, version=0), content))
        elif row.pk not in office and row.content != stored:
            loaded.append((row, content))
    if loaded:
        _store(loaded, actor)
    return len(loaded)


def _store(loaded: list[tuple[Standard, Content]], actor: str) -> None:
    now = clock.now()
    entry = append_entry(EVENT, actor=actor, at=now, outcome="loaded", facts={"count": len(loaded)})
    for row, content in loaded:
        put(row, content)
        row.published_at = now
    added = [row for row, _ in loaded if row.pk is None]
    kept = [row for row, _ in loaded if row.pk is not None]
    Standard.objects.bulk_create(added, batch_size=200)
    Standard.objects.bulk_update(kept, (*_CONTENT, "published_at"), batch_size=200)
    StandardVersion.objects.bulk_create(
        (
            StandardVersion(
                standard=row,
                version=row.version,
                content=row.content,
                reason=FIRST if row.version == 1 else NEWER,
                published_at=now,
                entry_id=entry,
            )
            for row, _ in loaded
        ),
        batch_size=200,
    )


def put(row: Standard, content: Content) -> None:
    """Write the next version of a standard into its row."""
    row.version += 1
    row.zh, row.en, row.ended = content.zh, content.en, content.ended
    row.pinyin_key = pinyin_key(content.zh)
    row.content = content_json(content)
    row.search_text = search_text(Kind(row.kind), row.key, content)


def pinyin_key(name: str) -> str:
    """Return a Chinese name as its syllables, by which lists are in order."""
    return " ".join(lazy_pinyin(name, style=Style.NORMAL)).casefold()


def search_text(kind: Kind, key: str, content: Content) -> str:
    """What a search for a standard looks into; the codes of long tables are found on their own page."""
    codes = [f"{code.value} {code.zh}" for code in content.codes[:200]] if kind == Kind.CODE_LIST else []
    words = (key, content.zh, content.en, content.national, content.provincial)
    return "\n".join((*words, *content.synonyms, *content.fields, *codes)).casefold()
