"""Entries, departments and themes in the shapes of CKAN's packages, organisations, groups and tags."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from shuqiao.control.exports.entries import Named, Offer, Publisher, SharedEntry
from shuqiao.control.exports.eu_terms import access_right, file_type
from shuqiao.control.exports.readers import Places, Reader
from shuqiao.control.texts import Text

Shape = dict[str, Any]

_MODES = ("verify", "query", "bulk", "interface")


def package(entry: SharedEntry, places: Places, reader: Reader) -> Shape:
    """An entry as a package; nobody who works for the department is named in it."""
    organisation = organization(entry.publisher)
    tags = [tag(words) for words in entry.keywords]
    page = places.page(entry.id, reader)
    resources = [_resource(entry, offer, at, page) for at, offer in enumerate(entry.offers)]
    return {
        "id": entry.id,
        "name": entry.id,
        "title": entry.name.zh,
        "title_translated": _both(entry.name),
        "notes": entry.summary.zh,
        "notes_translated": _both(entry.summary),
        "url": page,
        "uri": places.dataset(entry.id),
        "type": "dataset",
        "state": "active",
        "private": False,
        "isopen": False,
        "license_id": "notspecified",
        "license_title": "License not specified",
        "author": None,
        "author_email": None,
        "maintainer": None,
        "maintainer_email": None,
        "creator_user_id": None,
        "version": str(entry.version),
        "metadata_created": moment(entry.issued),
        "metadata_modified": moment(entry.modified),
        "owner_org": organisation["id"],
        "organization": organisation,
        "groups": [group(theme) for theme in entry.themes if len(theme.key) > 1],
        "tags": tags,
        "num_tags": len(tags),
        "resources": resources,
        "num_resources": len(resources),
        "extras": [{"key": key, "value": value} for key, value in _extras(entry).items() if value],
        "relationships_as_subject": [],
        "relationships_as_object": [],
    }


def organization(publisher: Publisher, count: int | None = None) -> Shape:
    """A department as an organisation, without its people."""
    found: Shape = {
        "id": publisher.code,
        "name": publisher.code,
        "title": publisher.name.zh,
        "display_name": publisher.name.zh,
        "title_translated": _both(publisher.name),
        "description": "",
        "image_url": "",
        "type": "organization",
        "is_organization": True,
        "state": "active",
        "approval_status": "approved",
    }
    return found if count is None else {**found, "package_count": count}


def group(theme: Named, count: int | None = None) -> Shape:
    """A subject (项) of the classification as a group."""
    name = f"theme-{theme.key}"
    found: Shape = {
        "id": name,
        "name": name,
        "title": theme.words.zh,
        "display_name": theme.words.zh,
        "title_translated": _both(theme.words),
        "description": "",
        "image_display_url": "",
        "type": "group",
        "is_organization": False,
        "state": "active",
    }
    return found if count is None else {**found, "package_count": count}


def tag(words: Text) -> Shape:
    """A word an entry is filed under as a tag."""
    name = words.zh
    return {"id": name, "name": name, "display_name": name, "state": "active", "vocabulary_id": None}


def moment(at: datetime) -> str:
    """A time as CKAN writes it: UTC without a zone."""
    return at.astimezone(UTC).replace(tzinfo=None).isoformat()


def _resource(entry: SharedEntry, offer: Offer, at: int, page: str) -> Shape:
    kind = file_type(entry.format_detail) if offer.kind == "file" else None
    form = "API" if offer.kind in _MODES else kind.label if kind else "FILE"
    return {
        "id": f"{entry.id}-{at + 1}",
        "package_id": entry.id,
        "name": offer.words.zh,
        "name_translated": _both(offer.words),
        "description": offer.place,
        "format": form,
        "mimetype": None,
        "url": offer.place if offer.place.startswith(("https://", "http://")) else page,
        "url_type": None,
        "position": at,
        "state": "active",
        "created": moment(entry.issued),
        "last_modified": moment(entry.modified),
        "size": None,
        "hash": "",
    }


def _extras(entry: SharedEntry) -> Mapping[str, str]:
    access = access_right(entry.openness, open_to_public=entry.open_to_public)
    return {
        "official_code": entry.code,
        "classification": entry.subject,
        "share_type": entry.share_type.key,
        "share_conditions": entry.conditions,
        "open_to_public": "true" if entry.open_to_public else "false",
        "open_conditions": entry.open_conditions,
        "access_rights": access.iri,
        "update_cycle": entry.cycle.key,
        "library": entry.library.key,
        "format": entry.format.key,
        "region": entry.region,
        "items": "；".join(item.name.zh for item in entry.items),
    }


def _both(words: Text) -> dict[str, str]:
    return {"zh": words.zh, "en": words.en}
