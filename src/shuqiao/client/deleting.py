"""Deleting copies that are called back, and signing for it: `shuqiao bulk recalls|deleted`.

The receipt is written down before anything is deleted and sent afterwards. Whoever is killed between says the
same again: the platform keeps it once.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from shuqiao.client.bulk import BulkClient
from shuqiao.client.call import CallFaulty, say
from shuqiao.security.http_signatures import CallContext
from shuqiao.security.recipients import SALT_FILE
from shuqiao.security.replacing import replace_file
from shuqiao.wire.bulk import Manifest, ManifestUnreadable, read_manifest
from shuqiao.wire.recalls import (
    MAX_NOTE_CHARS,
    Deleted,
    Deletion,
    Recall,
    StatementUnreadable,
    names_all,
    read_deletion,
    write_deletion,
)

MAX_MANIFEST_BYTES = 4 * 1024 * 1024
MANIFEST, SIGNATURE = "manifest.json", "manifest.signature"


def list_recalls(bulk: BulkClient, _: argparse.Namespace, context: CallContext) -> None:
    """Print each recall that waits: its number, due date, resource and what is held."""
    found = bulk.recalls(context)
    for recall in found:
        print(f"{recall.number}  due {recall.due_on}  {recall.resource}  {recall.grant}  ({recall.reason})")
        for held in recall.held:
            print(f"    {held.way} {held.id} {held.name}".rstrip() + f"  {held.rows:,} rows")
        if recall.left_out:
            print(f"    and {recall.left_out} more")
    say(f"{len(found)} recalls wait")


def delete_recalled(bulk: BulkClient, arguments: argparse.Namespace, context: CallContext) -> None:
    """Delete what a recall names in the folders given, and sign that nothing is left."""
    recall = next((one for one in bulk.recalls(context) if one.number == arguments.recall), None)
    if recall is None:
        raise CallFaulty(f"no recall {arguments.recall} is among those that wait for this application")
    if not arguments.yes:
        raise CallFaulty(
            "this signs that every copy the recall names is deleted, wherever it was: say --yes if it is so,"
            " and --folder FOLDER for what is to be deleted now"
        )
    if not arguments.note.isprintable():
        raise CallFaulty("the note is one line of printable text")
    folders = [Path(one) for one in arguments.folder or ()]
    statement = _statement(recall, arguments.note, folders)
    count = sum(_delete(recall, folder) for folder in folders)
    kept = bulk.sign_for(recall.number, statement, "", context)
    say(f"{count} files deleted; the receipt for {recall.number} is kept, entry {kept.entry}")
    print(kept.entry)


def _statement(recall: Recall, note: str, folders: list[Path]) -> str:
    """The receipt: the one that was written down before, where it still names everything, or a new one."""
    path = folders[0] / f"deletion-{recall.number}.json" if folders else None
    if path is not None and path.is_file() and path.stat().st_size <= MAX_MANIFEST_BYTES:
        text = path.read_text(encoding="utf-8", errors="replace")
        try:
            written = read_deletion(text)
            if written.recall == recall.number and names_all(written, recall.held):
                return text
            say(f"{path} doesn't name everything that is called back; it is written anew")
        except StatementUnreadable:
            say(f"{path} is no receipt; it is written anew")
    gone = tuple(
        Deleted(
            one.way, one.id, one.rows, up_to=one.up_to, part=one.parts, manifest_digest=one.manifest_digest
        )
        for one in recall.held
    )
    text = write_deletion(Deletion(recall.number, datetime.now(UTC), gone, note[:MAX_NOTE_CHARS]))
    if path is not None:
        replace_file(path, text.encode(), mode=0o600)
    return text


def _delete(recall: Recall, folder: Path) -> int:
    """Delete the files of every copy or part of a feed in a folder that the recall names."""
    names = {name for held in recall.held for name in (held.id, *held.earlier)}
    count = 0
    for path in (folder / MANIFEST, *sorted(folder.glob(f"*/{MANIFEST}"))):
        manifest = _manifest(path)
        if manifest is None or str(manifest.feed or manifest.job) not in names:
            continue
        for file in _files(manifest, path.parent):
            file.unlink(missing_ok=True)
            count += 1
        (path.parent / SALT_FILE).unlink(missing_ok=True)
        # Last, so that a run that was broken off finds what is left.
        (path.parent / SIGNATURE).unlink(missing_ok=True)
        path.unlink()
    return count


def _manifest(path: Path) -> Manifest | None:
    if not path.is_file() or path.stat().st_size > MAX_MANIFEST_BYTES:
        return None
    try:
        return read_manifest(path.read_bytes())
    except ManifestUnreadable:
        return None


def _files(manifest: Manifest, folder: Path) -> Iterator[Path]:
    """The files a manifest names, in its own folder and nowhere else, begun ones too."""
    for part in manifest.parts:
        file = folder / Path(part.name).name
        for one in (file, *(file.with_name(file.name + end) for end in (".part", ".opened"))):
            if one.is_file() and not one.is_symlink():
                yield one
