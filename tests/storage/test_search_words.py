"""What a candidate can be found by, and how a question is read."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.contract import Term
from storage.search_words import LONGEST, MOST_TERMS, terms_of, words_of, written
from tests.storage.factory import candidate, candidates, message


def test_a_candidate_has_its_words_and_pairs() -> None:
    said = message(3, "pump-7", texts={"State": "Überhitzt, OFF"}, fields={"level": 21.0, "on": True})
    found = words_of(candidate(3, message=said, reasons=["temperature changed"]))
    assert {"pump", "7", "state", "überhitzt", "off", "level", "temperature", "changed"} <= set(found.words)
    assert {"level:21", "on:true", "state:überhitzt, off", "device:pump-7", "rule:change"} <= set(found.pairs)


@pytest.mark.parametrize(
    ("question", "terms"),
    [
        ("Pump", [Term("pump")]),
        ("pump-7*", [Term("pump"), Term("7", prefix=True)]),
        ("state:OFF on", [Term("off", "state"), Term("on")]),
        ('state:"over heated"', [Term("over heated", "state")]),
        ("level:21.0", [Term("21", "level")]),
        ("device:pump*", [Term("pump", "device", prefix=True)]),
        ("  a   b ", [Term("a"), Term("b")]),
    ],
)
def test_a_question_is_read(question: str, terms: list[Term]) -> None:
    assert terms_of(question) == terms


@pytest.mark.parametrize("question", ["", " ", "*", "-", '"', 'a"b', "a*b", " ".join("x" * (MOST_TERMS + 1))])
def test_what_cannot_be_understood_is_refused(question: str) -> None:
    with pytest.raises(ValueError, match=r"understand|search for|at most"):
        terms_of(question)


@given(candidates())
def test_every_word_and_value_of_a_candidate_finds_it(one: object) -> None:
    found = words_of(one)  # type: ignore[arg-type]
    assert found.words == sorted(set(found.words))
    for word in found.words[:MOST_TERMS]:
        assert terms_of(word) == [Term(word)]


@given(st.floats(allow_nan=False, allow_infinity=False) | st.booleans() | st.text(max_size=400))
def test_a_value_is_written_in_bounds(value: float | str) -> None:
    assert len(written(value)) <= LONGEST
