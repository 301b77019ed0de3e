"""Pauses grow, are jittered, and have a ceiling."""

from hypothesis import given
from hypothesis import strategies as st

from consumers.backoff import Backoff


def test_pauses_double_up_to_the_ceiling_and_begin_again_after_success() -> None:
    backoff = Backoff(0.1, 1.0, jitter=lambda: 1.0)
    assert [round(backoff.pause(), 3) for _ in range(6)] == [0.1, 0.2, 0.4, 0.8, 1.0, 1.0]
    backoff.reset()
    assert round(backoff.pause(), 3) == 0.1


def test_what_the_peer_asks_for_is_granted_up_to_the_ceiling() -> None:
    backoff = Backoff(0.1, 5.0, jitter=lambda: 0.0)
    assert backoff.pause(2.0) == 2.0
    assert backoff.pause(60.0) == 5.0


@given(jitter=st.floats(0, 1), times=st.integers(1, 40))
def test_a_pause_is_at_least_half_its_length_and_never_above_the_ceiling(jitter: float, times: int) -> None:
    backoff = Backoff(0.1, 30, jitter=lambda: jitter)
    for number in range(times):
        length = min(0.1 * 2**number, 30)
        assert length / 2 <= backoff.pause() <= length
