"""The pages of verification, audit and proof as a browser asks for them, on a real PostgreSQL."""

import dataclasses
import json
import re
from datetime import timedelta
from uuid import uuid4

import pytest
from django.test import Client
from django.utils import translation

from shuqiao.auditlog import proofs
from shuqiao.control.accounts.models import Account
from shuqiao.control.grants.actions import revoke_grant
from shuqiao.control.grants.keys import portal_key_file
from shuqiao.control.grants.pages import verification_page
from shuqiao.control.grants.verification import CallRefused, Verification
from shuqiao.control.regulations.current import regulation
from shuqiao.control.requests.actions import submit_request
from shuqiao.control.requests.answering import answer_request
from shuqiao.control.texts import Text
from shuqiao.control.web.verification_result import Asked, answered, faults_in, mask, refused
from shuqiao.rules.errors import IdentifierInvalid
from shuqiao.security import keys

from .conftest import BIRTH, NOW, audit_entries, rows
from .test_audit import append, execute, integrate

NUMBER = "11010519491231002X"
SAID = {
    "subject": "Z440000123",
    "mother_name": "李示例",
    "mother_citizen_id_number": NUMBER,
    "case": "GZF-2026-004417",
}


@pytest.fixture
def granted(city) -> str:
    """A grant of health to housing for the mother's name and number, item by item."""
    portal_key_file("app-housing-portal").parent.mkdir(mode=0o700, exist_ok=True)
    keys.load_or_create_signing_key(portal_key_file("app-housing-portal"))
    number = submit_request(city.viewer("lin"), city.wanted())
    grant = answer_request(city.viewer("chen"), number, city.answer())
    assert grant is not None
    return grant


def client_of(username: str) -> Client:
    """A browser in which somebody has signed in."""
    client = Client()
    client.force_login(Account.objects.get(username=username))
    return client


def page_of(response, status: int = 200) -> str:
    """The text of a page, which must have this status."""
    text = response.content.decode()
    assert response.status_code == status, text[:2000]
    return text


def call_body(grant: str, *, identity: dict[str, bool], found: bool, match: str = "each") -> str:
    """The two lines that an answered call leaves in the log."""
    said = {"event": "verify", "grant": grant, "match": match, "items": list(identity), "identity": identity}
    return json.dumps(said) + "\n" + json.dumps({"found": found, "matches": None})


def record_call(grant: str, body: str) -> str:
    """Write an answered call of lin's into the log."""
    entry = str(uuid4())
    execute(
        "SELECT audit.append(%s, %s, 'verify', '440100-housing', '440100-health', 'app-housing-portal/lin',"
        " %s, %s, %s, 'GZF-2026-004417', 'answered', %s)",
        entry, NOW, BIRTH, uuid4(), grant, body,
    )  # fmt: skip
    return entry


def test_the_page_asks_for_what_the_grant_covers_and_nothing_else(granted):
    text = page_of(client_of("lin").get(f"/verify/{granted}/"))
    names = set(re.findall(r'<(?:input|select) id="([a-z_]+)"', text))
    assert names == {"subject", "mother_name", "mother_citizen_id_number", "case"}
    for shown in (granted, "出生登记信息", "公租房亲子关系核验", "2027-11-11", "今天还没有核验"):
        assert shown in text
    assert " style=" not in text, "the content policy refuses inline styles"
    assert not re.search(r"<script(?![^>]*\ssrc=)|\son[a-z]+=", text), "and inline scripts"


def test_there_is_one_way_in_and_only_for_those_who_may_use_the_grant(city, granted):
    response = client_of("lin").get("/verify/")
    assert (response.status_code, response["Location"]) == (302, f"/verify/{granted}/")
    assert Client().get(f"/verify/{granted}/").status_code == 302, "strangers sign in first"
    assert client_of("zhao").get(f"/verify/{granted}/").status_code == 404, "no such grant for another"
    assert client_of("chen").get(f"/verify/{granted}/").status_code == 403, "the provider does not use it"
    assert client_of("chen").get("/verify/").status_code == 403


@pytest.mark.parametrize("partial", [False, True])
def test_what_is_missing_is_said_at_its_field_and_nothing_is_asked(granted, partial):
    headers = {"HX-Request": "true"} if partial else {}
    response = client_of("lin").post(
        f"/verify/{granted}/", SAID | {"case": "", "subject": " "}, headers=headers
    )
    text = page_of(response, 200 if partial else 422)
    for name in ("subject", "case"):
        assert f'id="{name}-error"' in text
        assert f'href="#{name}"' in text, "the summary leads to the field"
    assert 'value="李示例"' in text, "what was entered need not be entered again"
    assert audit_entries("verify") == []
    assert ("<html" in text) is not partial


def test_a_plane_that_cannot_be_reached_is_no_answer(granted, caplog):
    response = client_of("lin").post(f"/verify/{granted}/", SAID)
    text = page_of(response, 503)
    assert "unavailable" in text
    assert "再核验一次" in text
    words = text.partition("todays")[0]
    assert not re.search(r'class="sq-(yes|no|ans|nomatch)[ "]', words), "no answer, no word"
    assert NUMBER not in caplog.text
    assert response["Cache-Control"] == "no-store"


def test_what_was_said_stays_in_the_answer_alone(granted):
    client_of("lin").post(f"/verify/{granted}/", SAID)
    stored = "".join(str(row) for row in rows("SELECT to_json(e)::text FROM audit.entry e"))
    stored += "".join(str(row) for row in rows("SELECT session_data FROM django_session"))
    assert NUMBER not in stored
    assert "李示例" not in stored
    assert NUMBER not in page_of(client_of("lin").get(f"/verify/{granted}/"))


def test_what_was_said_is_escaped(granted):
    text = page_of(client_of("lin").post(f"/verify/{granted}/", SAID | {"mother_name": '"><b>x'}), 503)
    assert '"><b>x' not in text


def test_a_revoked_grant_says_why(city, granted):
    revoke_grant(city.viewer("chen"), granted, "用途已改变")
    for headers in ({}, {"HX-Request": "true"}):
        response = client_of("lin").post(f"/verify/{granted}/", SAID, headers=headers)
        text = page_of(response, 200 if headers else 403)
        assert "用途已改变" in text
        assert "停用" in text


def asked_of(city, granted, together=False) -> Asked:
    page = verification_page(city.viewer("lin"), granted)
    return Asked(page.claims, together, mask(SAID["subject"]), SAID["case"])


def verification(result) -> Verification:
    return Verification(result, str(uuid4()), NOW, 9, "")


def test_an_answer_together_has_one_word_and_names_no_item_apart(city, granted):
    result = answered(verification(False), asked_of(city, granted, together=True))
    assert [row.matched for row in result.rows] == [False]
    each = {"mother_name": True, "mother_citizen_id_number": False}
    result = answered(verification(each), asked_of(city, granted))
    assert [row.matched for row in result.rows] == [True, False]
    assert not result.matched
    assert result.found
    nobody = answered(verification(dict.fromkeys(each, False)), asked_of(city, granted))
    assert not nobody.found, "the code of a record that may not be there is not shown"
    assert answered(verification(dict.fromkeys(each, True)), asked_of(city, granted)).matched


def test_no_grant_that_fits_is_a_refusal_and_not_a_word_about_the_person(city, granted):
    error = CallRefused("not_available", 404, Text("没有", "nothing"), None)
    result = refused(error, asked_of(city, granted))
    assert (result.rows, result.matched, result.status) == ((), False, 404)


@pytest.mark.parametrize(("language", "name"), [("zh-hans", "母亲公民身份号码"), ("en", "母亲公民身份号码")])
def test_a_wrong_number_is_told_at_its_field(city, granted, language, name):
    with translation.override(language):
        words = IdentifierInvalid(item=name).explain(language[:2])
        result = refused(
            CallRefused("identifier_invalid", 422, Text(words, words), None), asked_of(city, granted)
        )
        page = verification_page(city.viewer("lin"), granted)
        assert set(faults_in(result, page)) == {"mother_citizen_id_number"}


def test_a_refusal_opens_the_article_it_rests_on(city, granted):
    words = "已停用（依据：guangzhou-2016 第45条）"
    result = refused(CallRefused("grant_revoked", 403, Text(words, words), None), asked_of(city, granted))
    assert result.refusal is not None
    assert (result.refusal.words, result.refusal.rule.article) == ("已停用", "45")
    assert regulation().id == result.refusal.rule.regulation


def test_somebody_who_is_not_there_looks_like_a_wrong_value_in_todays_list(granted):
    wrong = dict.fromkeys(("mother_name", "mother_citizen_id_number"), False)
    lines = []
    for found in (True, False):
        record_call(granted, call_body(granted, identity=wrong, found=found))
    text = page_of(client_of("lin").get(f"/verify/{granted}/"))
    lines = re.findall(r'<td><span class="row-f g16">.*?</td>', text)
    assert len(lines) == 2
    assert lines[0] == lines[1]
    assert lines[0].count("不一致") == 2
    assert "无此记录" not in text


def test_the_list_shows_each_department_its_own_part(city, granted):
    entry = append("query", "{}")
    for username in ("lin", "chen", "zhou"):
        assert f"/audit/{entry}/" in page_of(client_of(username).get("/audit/?event=query"))
    text = page_of(client_of("zhao").get("/audit/?event=query"))
    assert entry not in text
    assert "没有记录" in text
    for path in (f"/audit/{entry}/", f"/audit/{entry}/evidence.json"):
        assert client_of("zhao").get(path).status_code == 404
        assert client_of("lin").get(path).status_code == 200
    assert client_of("wu").get("/audit/").status_code == 404


def test_the_list_is_grouped_by_days_of_the_city_and_goes_on(city):
    for number in range(60):
        execute(
            "SELECT audit.append(%s, %s, 'query', '440100-housing', '440100-health', 'a', NULL, NULL, NULL,"
            " NULL, 'answered', '{}')",
            uuid4(), NOW - timedelta(hours=number),
        )  # fmt: skip
    client = client_of("lin")
    text = page_of(client.get("/audit/?event=query"))
    # 60 hours before 09:42 of the 11th: the page of 50 entries begins on the 11th and ends on the 9th.
    assert re.findall(r'<tr class="sub"><td colspan="8"><span class="num">(\d\d-\d\d)', text) == [
        "11-11", "11-10", "11-09",
    ]  # fmt: skip
    assert text.count("/audit/") >= 50
    following = re.search(r'rel="next" href="([^"]+)"', text)
    assert following is not None
    rest = page_of(client.get("/audit/" + following[1].replace("&amp;", "&")))
    assert len(re.findall(r"href=\"/audit/[0-9a-f-]{36}/\"", rest)) == 10
    assert "回到最新" in rest
    assert "event=query" in following[1], "the next page keeps the filter"


@pytest.mark.parametrize(
    "query", ["since=x&until=2026-13-01", "entry=%00", "case=%00", "department=" + "x" * 500, "entry=17"]
)
def test_whatever_is_asked_for_the_list_answers(city, query):
    page_of(client_of("zhou").get(f"/audit/?{query}"))


def test_a_position_that_is_none_is_refused(city):
    assert client_of("zhou").get("/audit/?before=yesterday").status_code == 400


def test_the_entry_waits_for_its_number_and_then_proves_itself(city, granted):
    entry = record_call(granted, call_body(granted, identity={"mother_name": True}, found=True))
    client = client_of("lin")
    text = page_of(client.get(f"/audit/{entry}/"))
    assert "等待编入" in text
    assert "<rect" not in text
    waiting = json.loads(client.get(f"/audit/{entry}/evidence.json").content)
    assert waiting["format"] == "shuqiao/audit-entry/v1"
    integrate()
    text = page_of(client.get(f"/audit/{entry}/"))
    assert "与检查点相符" in text
    assert 'class="nd leaf"' in text
    assert "sq-path" in text, "phones get the path as a list"
    assert f"shuqiao audit prove {entry}" in text
    assert " style=" not in text
    assert text.count('class="pass"') == 4


def test_the_evidence_proves_the_entry_without_the_platform(city, granted):
    entry = record_call(granted, call_body(granted, identity={"mother_name": True}, found=True))
    root = integrate()
    response = client_of("lin").get(f"/audit/{entry}/evidence.json")
    assert response["Content-Disposition"] == f'attachment; filename="shuqiao-evidence-{entry}.json"'
    proof = proofs.parse_document(response.content)
    [(key_id, der)] = rows("SELECT id, public_key FROM exchange.signing_key WHERE purpose = 'log'")
    trusted = {key_id: keys.load_public_der(bytes(der))}
    assert str(proof.entry) == entry
    assert proof.holds()
    assert proof.signed.checkpoint.root == root
    assert proofs.is_signed(proof.signed, trusted)
    # Another digest in the same file proves nothing.
    assert not dataclasses.replace(proof, digest=bytes(32)).holds()


def test_an_altered_entry_is_shown_as_not_proved(city, granted):
    entry = record_call(granted, call_body(granted, identity={"mother_name": True}, found=True))
    integrate()
    execute("ALTER TABLE audit.entry DISABLE TRIGGER insert_only")
    execute("UPDATE audit.entry SET body = replace(body, 'verify', 'query') WHERE id = %s", entry)
    text = page_of(client_of("zhou").get(f"/audit/{entry}/"))
    assert "未能证明" in text
    assert 'class="fail"' in text
    assert "与检查点相符" not in text
    assert 'shield-check"></i>可证' not in text


@pytest.mark.parametrize("path", ["/verify/{grant}/", "/audit/", "/audit/{entry}/"])
def test_english_is_complete(city, granted, path):
    entry = record_call(granted, call_body(granted, identity={"mother_name": True}, found=True))
    integrate()
    client = client_of("lin")
    client.post("/language/", {"language": "en", "next": "/"})
    text = page_of(client.get(path.format(grant=granted, entry=entry)))
    main = text[text.index("<main") : text.index("</main>")]
    # Data in Chinese stays so: purposes, raw texts of the log, and what a department wrote.
    main = re.sub(r"<pre.*?</pre>|公租房亲子关系核验|公租房受理编号|核对家庭成员关系", "", main, flags=re.S)
    assert re.findall(r"[\u4e00-\u9fff]+", main) == []
