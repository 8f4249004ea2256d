"""Which source a field of a form is, when several are possible."""

from hypothesis import given
from hypothesis import strategies as st

from shuqiao.rules.datum_names import How
from shuqiao.rules.form_fields import Candidate, FieldVerdict, Standing, pick


def source(
    resource: str, field: str = "f", how: How | None = How.SAME, standing=Standing.AVAILABLE
) -> Candidate:
    return Candidate(resource, field, "101", how, standing)


def test_the_list_with_the_rare_fields_is_the_likeliest_for_the_common_ones() -> None:
    name = [source(key, "name") for key in ("birth", "household", "school")]
    answers = pick([name, [source("household", "station")]])
    assert [one.verdict for one in answers] == [FieldVerdict.AVAILABLE] * 2
    assert answers[0].guesses[0].candidate.resource == "household"
    assert answers[0].guesses[0].confidence > answers[0].guesses[1].confidence + 4


def test_what_nothing_tells_apart_is_a_choice() -> None:
    (answer,) = pick([[source("birth"), source("school")]])
    assert answer.verdict is FieldVerdict.CHOICE and len(answer.guesses) == 2


def test_what_only_contains_a_name_is_never_sure() -> None:
    (answer,) = pick([[source("household", how=None)]])
    assert answer.verdict is FieldVerdict.CHOICE


def test_what_nobody_may_have_is_said_to_be_closed() -> None:
    (answer,) = pick([[source("health", standing=Standing.CLOSED)]])
    assert answer.verdict is FieldVerdict.CLOSED
    (answer,) = pick([[source("health", standing=Standing.CLOSED), source("own", standing=Standing.OWN)]])
    assert answer.verdict is FieldVerdict.OWN
    assert pick([[]])[0].verdict is FieldVerdict.NONE


def test_the_subject_of_the_form_counts() -> None:
    person, body = (
        Candidate("a", "f", "101", How.SAME, Standing.AVAILABLE),
        Candidate("b", "f", "102", How.SAME, Standing.AVAILABLE),
    )
    (answer,) = pick([[person, body]], branch="102")
    assert answer.verdict is FieldVerdict.AVAILABLE and answer.guesses[0].candidate is body


CANDIDATES = st.builds(
    Candidate,
    resource=st.sampled_from("abcd"),
    field=st.just("f"),
    branch=st.sampled_from(["101", "102"]),
    how=st.sampled_from([*How, None]),
    standing=st.sampled_from(Standing),
)
FORMS = st.lists(st.lists(CANDIDATES, max_size=5, unique_by=lambda one: one.resource), min_size=1, max_size=6)


@given(FORMS, st.sampled_from(["", "101"]))
def test_answers_are_bounded_complete_and_do_not_depend_on_the_order(form, branch) -> None:
    answers = pick(form, branch)
    assert answers == pick([list(reversed(one)) for one in form], branch)
    for candidates, answer in zip(form, answers, strict=True):
        assert {guess.candidate for guess in answer.guesses} == set(candidates)
        assert all(1 <= guess.confidence <= 99 for guess in answer.guesses)
        sure = answer.verdict in (FieldVerdict.AVAILABLE, FieldVerdict.OWN)
        assert not sure or answer.guesses[0].candidate.standing.value == answer.verdict.value
