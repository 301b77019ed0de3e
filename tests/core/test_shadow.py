"""Shadows: merge, difference, bounds; and of rivals every process picks the same one, whatever compaction took out."""

import random
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headwater.errors import Rejected
from headwater.log import SHADOWS, Entry
from headwater.shadow import (
    SIZE,
    Shadow,
    changed,
    difference,
    encode_shadow,
    key_of,
    merged,
    read_change,
    removed,
)
from headwater.shadow_table import ShadowTable

NAMES = st.sampled_from("abcd")
TREES: st.SearchStrategy[dict[str, Any]] = st.recursive(
    st.dictionaries(NAMES, st.integers(0, 3), max_size=3),
    lambda inner: st.dictionaries(NAMES, inner | st.integers(0, 3), max_size=3),
    max_leaves=6,
)


def change(**given: object) -> Any:
    return read_change(msgspec.json.encode(given))


def test_a_change_is_merged_and_null_deletes() -> None:
    shadow = changed(Shadow(), change(desired={"a": 1, "b": {"c": 2, "d": 3}}), 1)
    shadow = changed(shadow, change(desired={"b": {"c": None, "e": 4}}, reported={"a": 1}), 2)
    assert (shadow.version, shadow.desired) == (2, {"a": 1, "b": {"d": 3, "e": 4}})
    assert shadow.delta == {"b": {"d": 3, "e": 4}}
    shadow = changed(shadow, change(desired=None), 3)
    assert (shadow.desired, shadow.reported, shadow.delta) == ({}, {"a": 1}, {})


@settings(deadline=None)
@given(TREES, TREES)
def test_a_device_that_reports_the_delta_has_none_left(desired: dict[str, Any], reported: dict[str, Any]) -> None:
    delta = difference(desired, reported)
    assert difference(desired, merged(reported, delta)) == {}


@pytest.mark.parametrize(
    "data",
    [
        b"{",
        b"[]",
        b"{}",
        b'{"desired":1}',
        b'{"other":{}}',
        b'{"desired":{},"token":"' + b"t" * 65 + b'"}',
        b'{"desired":' + b'{"a":' * 2000 + b"1" + b"}" * 2001,
        b" " * (2 * SIZE + 1),
    ],
)
def test_what_is_no_change_is_rejected(data: bytes) -> None:
    with pytest.raises(Rejected):
        read_change(data)


def test_size_and_depth_are_bounded() -> None:
    fits = changed(Shadow(), change(desired={"a": "x" * (SIZE - 12)}), 1)
    assert fits.version == 1
    with pytest.raises(Rejected, match="8192 bytes"):
        changed(fits, change(reported={"b": "xx"}), 1)
    with pytest.raises(Rejected, match="8 levels"):
        changed(Shadow(), change(desired={"a": {"a": {"a": {"a": {"a": {"a": {"a": {"a": {"a": 1}}}}}}}}}), 1)
    with pytest.raises(Rejected, match="8 levels"):
        changed(Shadow(), change(desired={"a": [[[[[[[[[1]]]]]]]]]}), 1)


def entry(offset: int, key: bytes, shadow: Shadow | None) -> Entry:
    return Entry(SHADOWS, 0, offset, 0, key, None if shadow is None else encode_shadow(shadow))


@settings(deadline=None, max_examples=300)
@given(st.randoms(use_true_random=False), st.integers(1, 30))
def test_every_process_has_the_same_shadow_whatever_compaction_took_out(chance: random.Random, count: int) -> None:
    """Writers that lag behind by some entries, a sweeper that lags too, and one who reads what is left.

    A deletion is kept for longer than a writer and the sweeper lag together: until then it keeps a late rival from
    counting, which the sweeper has to have seen as well.
    """
    history: list[Entry] = []
    lagging = [ShadowTable() for _ in range(3)]
    positions = [0, 0, 0]
    for _ in range(count):
        who = chance.randrange(3)
        upto = chance.randint(max(positions[who], len(history) - 4), len(history))
        lagging[who].apply(history[positions[who] : upto])
        positions[who] = upto
        known = lagging[who].get("d")
        offset = len(history)
        if chance.random() < 0.2:
            keys = list(lagging[who].forgettable(offset, 10))
            history += [entry(offset + at, key, None) for at, key in enumerate(keys)]
        elif chance.random() < 0.2 and known.there:
            history.append(entry(offset, key_of("d", known.version + 1, f"{offset:016x}"), removed(known, offset)))
        else:
            after = changed(known, change(desired={"who": who, "at": offset}), offset)
            history.append(entry(offset, key_of("d", after.version, f"{offset:016x}"), after))
    live, late = ShadowTable(), ShadowTable()
    live.apply(history)
    newest = {one.key: one for one in history}
    late.apply([one for one in history if newest[one.key] is one and not (one.value is None and chance.random() < 0.5)])
    assert live.get("d") == late.get("d")
    for table, position in zip(lagging, positions, strict=True):
        table.apply(history[position:])
        assert table.get("d") == live.get("d")


def test_of_two_rivals_the_first_in_the_log_counts() -> None:
    table = ShadowTable()
    one, other = Shadow(1, 0, {"a": 1}), Shadow(1, 0, {"a": 2})
    keys = [key_of("d", 1, f"{at:016x}") for at in range(2)]
    assert [found.key for found in table.apply([entry(0, keys[0], one), entry(1, keys[1], other)])] == keys[:1]
    assert table.get("d") == one
    assert list(table.forgettable(0, 0)) == [keys[1]]


def test_what_was_superseded_or_deleted_is_forgotten() -> None:
    table = ShadowTable()
    one = Shadow(1, 0, {"a": 1})
    keys = [key_of("d", at + 1, "0" * 16) for at in range(2)]
    table.apply([entry(0, keys[0], one), entry(1, keys[1], removed(one, 7))])
    assert (table.get("d").there, list(table.forgettable(8, 2))) == (False, keys[:1])
    assert set(table.forgettable(9, 2)) == set(keys)
    table.apply([entry(at + 2, key, None) for at, key in enumerate(keys)])
    assert (table.get("d").version, table.count, table.size, list(table.forgettable(9, 2))) == (0, 0, 0, [])
