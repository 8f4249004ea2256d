"""Two reviewers answer the same request at the same moment, on two connections."""

import threading

from django.db import connection

from shuqiao.control import clock
from shuqiao.control.grants.models import Grant
from shuqiao.control.requests.actions import submit_request
from shuqiao.control.requests.answering import answer_request
from shuqiao.control.requests.models import RequestEvent
from shuqiao.rules.errors import AlreadyDecided

from .conftest import NOW, audit_entries, rows


def test_two_reviewers_at_once_give_one_answer_one_grant_and_one_entry(committed_city):
    city = committed_city
    number = submit_request(city.viewer("lin"), city.wanted())
    decided_before = len(audit_entries("request_decided"))
    reviewers = [city.viewer("chen"), city.viewer("gong")]
    answer = city.answer()
    together = threading.Barrier(2, timeout=60)
    results: list[object] = []

    def review(viewer) -> None:
        try:
            with clock.fixed(NOW):
                together.wait()
                results.append(answer_request(viewer, number, answer))
        except AlreadyDecided as refused:
            results.append(refused)
        finally:
            connection.close()

    threads = [threading.Thread(target=review, args=(viewer,)) for viewer in reviewers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert sorted(type(result).__name__ for result in results) == ["AlreadyDecided", "str"]
    assert Grant.objects.filter(request_number=number).count() == 1
    assert rows('SELECT count(*) FROM exchange."grant"') == [(1,)]
    assert RequestEvent.objects.filter(decides=True).count() == 1
    assert len(audit_entries("request_decided")) == decided_before + 1
