"""The task list: whatever waits for a person in any kind of case, the nearest legal day first."""

from datetime import timedelta

import pytest
from django.test import Client

from shuqiao.control import clock
from shuqiao.control.accounts.models import Account
from shuqiao.control.operations.tasks import task_list
from shuqiao.control.requests.actions import dispute_request, escalate_overdue, submit_request
from shuqiao.control.requests.answering import answer_request
from tests.control.conftest import NOW

SEED_QUERIES = 45
"""The first page asks so many questions at most, however long its lists are."""


def tasks(city, username: str) -> list[tuple[str, str, str]]:
    """(group, reference, action) of a person's tasks in their order."""
    page = task_list(city.viewer(username))
    return [(group.key, task.reference, task.action.zh) for group in page.groups for task in group.tasks]


def send(city, item: str) -> str:
    wanted = city.wanted(items={item: "核对"}, wanted_until=clock.today() + timedelta(days=90))
    return submit_request(city.viewer("lin"), wanted)


@pytest.mark.requirement("ORG-13")
def test_the_nearest_legal_day_comes_first_with_its_article_and_days_left(city) -> None:
    numbers = []
    for days, item in ((-12, "mother_name"), (-7, "father_name"), (-14, "newborn_name"), (0, "birth_date")):
        with clock.fixed(NOW + timedelta(days=days)):
            numbers.append(send(city, item))
    assert tasks(city, "chen") == [
        ("today", numbers[2], "审核"),
        ("week", numbers[0], "审核"),
        ("later", numbers[1], "审核"),
        ("later", numbers[3], "审核"),
    ]
    first = task_list(city.viewer("chen")).groups[0].tasks[0]
    assert first.clock is not None and first.clock.days_left == 0
    assert (first.term.zh, first.clock.article.cite.zh) == ("答复", "细则 第三十五条第一款")
    for stranger in ("wu", "bai", "zhao", "zhou", "lin"):
        assert tasks(city, stranger) == []


def test_a_term_that_ran_out_is_a_task_of_the_provider_and_the_dispute_one_of_the_office(city) -> None:
    number = send(city, "mother_name")
    with clock.fixed(NOW + timedelta(days=15)):
        assert tasks(city, "chen") == [("overdue", number, "审核")]
        assert tasks(city, "zheng") == []
        assert escalate_overdue() == 1
        assert tasks(city, "chen") == [("overdue", number, "答复")]
        [(group, dispute, action)] = tasks(city, "zheng")
        assert (group, dispute[:2], action) == ("open", "D-", "处理")


def test_a_refusal_leaves_no_task_until_it_is_disputed(city) -> None:
    number = send(city, "mother_name")
    refused = city.answer(decisions={"mother_name": False}, refusal_reason="样例理由", valid_until=None)
    answer_request(city.viewer("chen"), number, refused)
    assert tasks(city, "chen") == tasks(city, "zheng") == []
    dispute_request(city.viewer("lin"), number, "仍需使用")
    assert [one[1:] for one in tasks(city, "chen")] == [(number, "答复")]
    assert len(tasks(city, "zheng")) == 1


def test_the_page_leads_to_each_case_and_asks_a_fixed_number_of_questions(
    city, django_assert_max_num_queries
) -> None:
    fields = ("mother_name", "father_name", "newborn_name", "birth_date", "sex", "mother_citizen_id_number")
    client = Client()
    client.force_login(Account.objects.get(username="chen"))
    number = send(city, fields[0])
    for item in fields[1:]:
        send(city, item)
    client.get("/")
    with django_assert_max_num_queries(SEED_QUERIES):
        page = client.get("/").content.decode()
    assert f'href="/requests/{number}/"' in page and "剩 10 个工作日" in page
    english = client.get("/", headers={"Accept-Language": "en"}).content.decode()
    assert "10 working days left" in english and "Later" in english


def test_a_due_day_in_a_year_not_announced_says_that_it_is_provisional(city) -> None:
    with clock.fixed(NOW + timedelta(days=44)):
        number = send(city, "mother_name")
        client = Client()
        client.force_login(Account.objects.get(username="lin"))
        for address in ("/", f"/requests/{number}/", "/requests/"):
            assert "暂定" in client.get(address).content.decode(), address
        english = client.get("/", headers={"Accept-Language": "en"}).content.decode()
        assert "(provisional)" in english
