"""What the database refuses, whoever writes: skipped steps, half-written states, changed history."""

import hashlib
import uuid

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.utils import ProgrammingError

from shuqiao.control.disputes.models import Dispute, DisputeEvent
from shuqiao.control.documents.models import Document
from tests.control.conftest import NOW, beyond_control, rows


def document(number: str) -> Document:
    """A stored document to hang an event on."""
    content = uuid.uuid4().bytes
    return Document.objects.create(
        kind="dispute",
        number=number,
        name="record.txt",
        media_type="text/plain",
        size_bytes=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        content=content,
        stored_at=NOW,
    )


def event(number: str, **changes: object) -> DisputeEvent:
    """An event that fails the negotiation, complete but for what the test changes."""
    dispute = Dispute.objects.get(number=number)
    given = {
        "dispute": dispute,
        "sequence": dispute.step + 1,
        "previous": dispute.step,
        "regulation": "guangzhou-2016",
        "action": "fail",
        "from_state": dispute.state,
        "to_state": "for_review",
        "phase": "waiting",
        "final": False,
        "requires": ",minutes,result,",
        "publishes": True,
        "occurred_at": NOW,
        "article": "guangzhou-2016 art. 35(1)",
        "record": document(number),
        "entry_id": uuid.uuid4(),
        "minutes": "协商",
        "result": "未果",
    }
    return DisputeEvent.objects.create(**(given | changes))


def test_a_complete_event_is_accepted(story):
    """So that the refusals below are for their own reasons."""
    assert event(story.open()).sequence == 2


SKIPPED = {
    "a step the regulation does not know": {"action": "rule_share"},
    "a state the step does not lead to": {"to_state": "ruled_share"},
    "a state that is not where the dispute stands": {"from_state": "review_open", "action": "apply_ruling"},
    "a step of another city": {"regulation": "xiamen-2015"},
    "a final state that is none": {"final": True},
    "fewer requirements than the file has": {"requires": ""},
    "an unpublished result": {"publishes": False},
    "a place that is taken": {"sequence": 1, "previous": None},
    "a hole in the sequence": {"sequence": 4, "previous": 3},
    "a step out of order": {"sequence": 3, "previous": 1},
}


@pytest.mark.requirement("DIS-09", source="GZ16:35¶1-3")
@pytest.mark.parametrize("changes", SKIPPED.values(), ids=SKIPPED)
def test_no_step_can_be_skipped_in_the_database(story, changes):
    """An event begins where the last one ended, and is a step the regulation allows."""
    number = story.open()
    with pytest.raises(IntegrityError), transaction.atomic():
        event(number, **changes)


HALF = {
    "minutes": {"minutes": ""},
    "result": {"result": ""},
    "article": {"article": ""},
    "a department without an account": {"department_id": "440100-data"},
    "a document": {"record_id": None},
    "an audit entry": {"entry_id": None},
    "a day": {"occurred_at": None},
}


@pytest.mark.requirement("DIS-09", source="GZ16:35¶1-3")
@pytest.mark.parametrize("changes", HALF.values(), ids=HALF)
def test_no_event_is_half_written(story, changes):
    """Actor, date, document, article, entry, and what the step requires."""
    number = story.open()
    if "record_id" in changes:
        changes = {"record": None}
    with pytest.raises(IntegrityError), transaction.atomic():
        event(number, **changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"state": "ruled_share"},
        {"state": "for_review"},
        {"step": 2},
        {"final": True},
        {"phase": "closed"},
        {"final": True, "closed_at": NOW},
        {"phase": "granted"},
        {"case_number": ""},
        {"number": "D-26-1"},
        {"reason": ""},
        {"respondent_id": "440100-housing"},
    ],
)
def test_a_dispute_stands_where_its_last_event_led(story, changes):
    """No state without the event that led to it, no end without its time."""
    number = story.open()
    with pytest.raises(IntegrityError), transaction.atomic():
        Dispute.objects.filter(number=number).update(**changes)
        with connection.cursor() as cursor:
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE disputes_disputeevent SET minutes = 'anders'",
        "DELETE FROM disputes_disputeevent",
        "UPDATE disputes_disputestep SET to_state = 'agreed'",
        "DELETE FROM disputes_dispute",
        "UPDATE documents_document SET name = 'anders'",
        "DELETE FROM documents_document",
        "DELETE FROM disputes_projectbar",
        "UPDATE disputes_rulingapplication SET reason = 'anders'",
    ],
)
def test_the_office_adds_to_the_record_and_takes_nothing_from_it(story, statement):
    """The running office's role may not; the owner, which no running process is, could."""
    story.open()
    with pytest.raises(ProgrammingError, match="permission denied"), transaction.atomic():
        rows(statement)


def test_a_document_has_the_length_and_digest_of_its_content(story):
    """Whoever writes the row."""
    number = story.open()
    good = {
        "kind": "dispute",
        "number": number,
        "name": "a.txt",
        "media_type": "text/plain",
        "size_bytes": 3,
        "sha256": hashlib.sha256(b"abc").hexdigest(),
        "content": b"abc",
        "stored_at": NOW,
    }
    Document.objects.create(**good)
    for changes in (
        {"size_bytes": 4},
        {"sha256": hashlib.sha256(b"abd").hexdigest()},
        {"name": "../a.txt"},
        {"name": ""},
        {"media_type": "text/html"},
        {"kind": ""},
    ):
        with pytest.raises(IntegrityError), transaction.atomic():
            Document.objects.create(**(good | changes))
    with beyond_control():
        assert rows("SELECT count(*) FROM documents_document WHERE number = %s", number) == [(2,)]
