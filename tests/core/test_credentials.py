"""Tokens cannot be guessed, what is kept of them cannot be turned back, and nothing odd is ever equal."""

import hashlib

from hypothesis import given
from hypothesis import strategies as st

from headwater.credentials import TOKEN_BYTES, digest, new_token, same


def test_a_token_has_256_random_bits_and_says_what_it_is_for():
    device, key = new_token("device"), new_token("key")
    assert device.startswith("hw_d_")
    assert key.startswith("hw_k_")
    assert TOKEN_BYTES * 8 == 256
    assert len(device) == len("hw_d_") + 43  # 256 bits in base64
    assert len({new_token("device") for _ in range(1000)}) == 1000


def test_a_token_can_stand_in_urls_headers_and_shells():
    for _ in range(200):
        assert set(new_token("key")) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-")


def test_the_digest_is_sha_256_so_that_other_programs_can_make_it():
    assert digest("hw_d_x") == hashlib.sha256(b"hw_d_x").hexdigest()


@given(st.text(), st.text())
def test_a_digest_is_the_same_for_the_same_text_only(one: str, other: str):
    assert same(digest(one), digest(other)) == (one == other)


def test_text_that_is_not_valid_unicode_has_a_digest_too():
    assert not same(digest("\udcff"), digest("\ud800"))


def test_a_device_without_a_token_is_equal_to_nobody():
    assert not same(digest(""), "")
    assert not same("", "")
