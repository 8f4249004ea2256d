"""A NUL in a path or a form is refused before anything is asked of the database."""

import pytest
from django.test import Client

from shuqiao.control.accounts.models import Account


@pytest.mark.parametrize(
    "path",
    ["/business-systems/B%00/", "/business-systems/certificates/T%00.pdf", "/other-systems/X%00/",
     "/exchange/recalls/L%00/", "/exchange/h%00/", "/exchange/h%00/r%00/reviews/"],
)  # fmt: skip
def test_a_path_with_a_nul_is_not_there(city, path):
    client = Client()
    client.force_login(Account.objects.get(username="ma"))
    assert client.get(path).status_code == 404


@pytest.mark.parametrize("field", ["department", "name", "kind"])
def test_a_form_with_a_nul_is_refused(city, field):
    client = Client()
    client.force_login(Account.objects.get(username="ma"))
    content = f"{field}=a%00b"
    sent = client.post("/other-systems/", content, content_type="application/x-www-form-urlencoded")
    assert sent.status_code == 400
