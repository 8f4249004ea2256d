"""Refusals in words for people: the rule by the name people know it by, and its article to be opened."""

from django.test import Client
from django.urls import reverse

from shuqiao.control.accounts.models import Account
from shuqiao.control.regulations.wording import articles_of, worded
from shuqiao.rules.errors import IdentifierInvalid, NotAvailable, PermissionDenied


def test_a_refusal_names_its_rule_by_name_and_not_by_file(city) -> None:
    error = PermissionDenied(rule="guangzhou-2016 art. 35(1)", action="x")
    assert worded(error).zh.endswith("（依据：细则 第三十五条第一款）")
    assert [ref.article for ref in articles_of(error)] == ["35(1)"]
    assert "guangzhou-2016" not in worded(error).zh + worded(error).en


def test_what_rests_on_a_standard_names_it_as_it_is(city) -> None:
    error = IdentifierInvalid(item="公民身份号码")
    assert error.standard in worded(error).zh
    assert articles_of(error) == () or all(ref.article for ref in articles_of(error))


def test_what_rests_on_nothing_says_only_what_happened(city) -> None:
    error = NotAvailable()
    assert worded(error).zh.startswith(error.said("zh"))


def test_the_page_of_a_refusal_opens_the_article(city) -> None:
    client = Client()
    client.force_login(Account.objects.get(username="lin"))
    page = client.get(reverse("compilation_new"))
    assert page.status_code == 403
    text = page.content.decode()
    assert "guangzhou-2016 第" not in text
    assert "/regulations/guangzhou-2016/articles/" in text
