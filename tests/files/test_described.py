"""What the description of files allows and forbids, drawn at random: every answer is described."""

from collections import Counter

import msgspec
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode
from schemathesis.checks import CHECKS, load_all_checks

from shuqiao.plane.files.openapi import DOCUMENT, FILE_PATH, LIST_PATH
from tests.files.conftest import REPORTS, FileCity
from tests.plane.test_fuzz import HELD, SPOILT_HEADERS, sent

WHOLE = msgspec.json.decode(DOCUMENT)
DRAWN = [
    ("post", LIST_PATH, GenerationMode.POSITIVE),
    ("post", LIST_PATH, GenerationMode.NEGATIVE),
    ("get", FILE_PATH, GenerationMode.POSITIVE),
]


@pytest.mark.timeout(120)
@pytest.mark.parametrize(("method", "path", "mode"), DRAWN, ids=str)
def test_every_answer_is_described(city: FileCity, method: str, path: str, mode: GenerationMode) -> None:
    load_all_checks()
    held = [check for check in CHECKS.get_all() if check.__name__ in HELD]
    city.store(city.register(), b"there")
    city.file_grant()
    seen: Counter[str] = Counter()
    drawn = schemathesis.openapi.from_dict(WHOLE)[path][method]

    @settings(
        max_examples=40,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    @given(case=drawn.as_strategy(mode), wild=st.integers(0, 5), unsigned=st.integers(0, 5))
    def ask(case: Case, wild: int, unsigned: int) -> None:
        if wild < 5 and mode.is_positive and "resource" in case.path_parameters:
            case.path_parameters["resource"] = REPORTS
        if wild < 3 and mode.is_positive and isinstance(case.body, dict):
            case.body = {"channel": "interface", "case": "样例"}
        assert case.meta is not None
        parts = [(place, part.mode) for place, part in case.meta.components.items()]
        signed = method == "post" and unsigned < 5 and SPOILT_HEADERS not in parts
        answered = sent(city, case, signed=signed)
        seen["answered" if answered.status_code < 400 else str(answered.json()["code"])] += 1
        case.validate_response(answered, checks=held)

    ask()
    if method == "post" and mode.is_positive:
        assert seen["answered"] > 0, seen
    elif method == "post":
        assert seen["answered"] == 0, seen
    else:
        assert seen["not_available"] > 0, seen
