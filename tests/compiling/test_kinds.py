"""Case records, approvals, licences, reports and analyses are entries like any other, in every city."""

from dataclasses import replace

import pytest

from shuqiao.control.catalogue.models import Resource
from shuqiao.control.catalogue.services import offer_table
from shuqiao.control.catalogue.vocabulary import vocabulary
from tests.control.conftest import rows

from .conftest import KEY, STATUS

KINDS = ("case", "approval", "licence", "report", "analysis")


@pytest.mark.requirement("ING-07", source="SY:4(3)")
def test_each_kind_is_compiled_published_and_ready_to_receive(office) -> None:
    words = vocabulary().forms
    for kind in KINDS:
        item = replace(STATUS, field=f"{kind}_result", zh=f"{words[kind].zh}结果", en=f"Result of {kind}")
        case = office.published(name_zh=f"样例{words[kind].zh}", forms=(kind,), items=(KEY, item))
        offer_table(office.viewer("hou"), case.resource)
        entry = Resource.objects.get(pk=case.resource)
        assert entry.state == "published" and entry.content["forms"] == [kind]
        assert rows("SELECT active FROM exchange.resource WHERE id = %s", entry.id) == [(True,)]
