"""Secrets of devices and API keys: how they are made, what is kept of them, how one is compared.

Out: a token, shown once; and its digest, which is all that is ever stored, logged or sent on.

The digest is one SHA-256, not a password hash, on purpose. Slow hashes (scrypt, Argon2) and salts exist because
people choose passwords that can be guessed. A token here is 256 bits from the operating system's generator, chosen
by nobody: a thief of the digests has 2**256 equally likely guesses, which no slowness needs to make worse, and no
two tokens are equal, so there is nothing for a salt to hide. A fast hash keeps a connect or request at a microsecond
or two, so that a flood of wrong tokens costs the sender more than us.
"""

import hashlib
import hmac
import secrets
from typing import Literal

TOKEN_BYTES = 32
LONGEST_SECRET = 512
"""Longer ones are wrong without being looked at."""

_PREFIXES = {"device": "hw_d_", "key": "hw_k_", "claim": "hw_c_"}


def new_token(kind: Literal["device", "key", "claim"]) -> str:
    """`hw_d_…`, `hw_k_…` or `hw_c_…`: 256 random bits, URL-safe. By the prefix people and scanners know it."""
    return _PREFIXES[kind] + secrets.token_urlsafe(TOKEN_BYTES)


def is_claim_code(secret: str) -> bool:
    """True if it looks like one."""
    return secret.startswith(_PREFIXES["claim"])


def digest(token: str) -> str:
    """SHA-256 in 64 hex digits. Takes any text, also what is not valid Unicode."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def same(digest_given: str, digest_kept: str) -> bool:
    """Compare two digests in a time that does not tell where they differ; an empty one equals nothing."""
    return bool(digest_kept) and hmac.compare_digest(digest_given, digest_kept)
