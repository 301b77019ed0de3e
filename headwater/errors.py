"""Every error of Headwater, named for what the caller must do.

HeadwaterError
├── ConfigError            mend the configuration; nothing was started
├── Unavailable            later: the peer cannot take it now; nothing is wrong with the data
│   └── LogError           an append that is not known to be durable; the sender must send again
├── PartialWrite           never, for the records named; the rest of the batch is durable
├── Rejected               never: this message is not valid; goes to quarantine with its reason
├── Refused                who you are does not allow it
├── Stale                  another owner has taken over; drop what is in hand and let go
└── OffsetOutOfRange       the log no longer has what this reader needs; stop and tell a person
"""

from collections.abc import Mapping
from typing import Literal

Reason = Literal[
    "bad_json",
    "bad_encoding",
    "bad_shape",
    "bad_value",
    "bad_device",
    "bad_id",
    "bad_time",
    "bad_position",
    "bad_topic",
    "missing_device",
    "missing_field",
    "device_mismatch",
    "no_fields",
    "too_many_fields",
    "too_deep",
    "too_large",
    "number_too_large",
    "unknown_field",
    "wrong_type",
    "out_of_range",
    "no_decoder",
    "unknown_decoder",
    "decoder_failed",
    "encrypted",
    "unknown_alias",
    "unsupported",
    "not_authorized",
    "refused_by_store",
]
"""Why a message is not valid: the same code in the reply, the metric and the log line. A closed set."""

RefusedReason = Literal["no_credentials", "bad_credentials", "not_authorized", "disabled", "over_quota"]


class HeadwaterError(Exception):
    """Root of all errors that Headwater raises on purpose."""


class ConfigError(HeadwaterError):
    """The configuration cannot be used; the text names the key and what is accepted."""


class Unavailable(HeadwaterError):
    """The peer cannot take it now. Try again, after `retry_after` seconds where given."""

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class LogError(Unavailable):
    """An append is not known to be durable: it may appear later, as a duplicate with the same id."""


class PartialWrite(HeadwaterError):
    """Some records of a batch can never be stored; all others of the batch are durable.

    `reasons`: index in the batch → what the store said.
    """

    def __init__(self, reasons: Mapping[int, str]) -> None:
        super().__init__(f"{len(reasons)} records refused")
        self.reasons = reasons


class Rejected(HeadwaterError):
    """A message is not valid. `reason` is the closed code, `detail` tells a person what to change."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason: Reason = reason
        self.detail = detail


class Refused(HeadwaterError):
    """The sender's identity does not allow it; over quota, not before `retry_after` seconds where given."""

    def __init__(self, reason: RefusedReason, detail: str, *, retry_after: float | None = None) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason: RefusedReason = reason
        self.detail = detail
        self.retry_after = retry_after


class Stale(HeadwaterError):
    """Someone else owns this now. What is in hand must be dropped."""


class OffsetOutOfRange(HeadwaterError):
    """A reader asks for an offset that the log has dropped or never had."""
