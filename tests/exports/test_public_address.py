"""Names of entries stay the same under every address that the platform answers to."""

from dataclasses import replace

import pytest
from django.conf import settings as configured
from django.test import Client

from shuqiao.control.config import ConfigError, read_config
from tests.exports.conftest import BIRTH


def test_the_public_address_names_the_entries_whatever_host_is_asked(city, settings):
    settings.CONFIG = replace(configured.CONFIG, public_url="https://open.example.invalid")
    told = [Client(SERVER_NAME=host).get("/dcat/catalog.ttl").content for host in ("localhost", "testserver")]
    assert told[0] == told[1]
    assert f"<https://open.example.invalid/dcat/dataset/{BIRTH}>".encode() in told[0]
    page = Client().get("/dcat/catalog", headers={"accept": "text/html"})
    assert page["Location"] == "https://open.example.invalid/open/"


@pytest.mark.parametrize(
    "url", ["ftp://x.invalid", "open.example.invalid", "https://x.invalid/path", "https://"]
)
def test_an_address_that_is_none_is_told_at_the_start(url):
    with pytest.raises(ConfigError) as refused:
        read_config({"SHUQIAO_PUBLIC_URL": url})
    assert "SHUQIAO_PUBLIC_URL must be an http(s) address without a path" in refused.value.faults


def test_no_address_and_a_good_one_are_no_fault():
    for given in ({}, {"SHUQIAO_PUBLIC_URL": "https://open.example.invalid/"}):
        with pytest.raises(ConfigError) as refused:
            read_config(given)
        assert not any("PUBLIC_URL" in fault for fault in refused.value.faults)
