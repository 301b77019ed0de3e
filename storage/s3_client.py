"""One way to S3 for all who use it: a client with bounded time, its errors as `OSError`, and the bucket made.

In: `config.S3`. Out: an obstore `S3Store`, and a bucket that is there. A call takes at most about `config.time`: half
of it an attempt, and no attempt begins in the second half.
"""

import asyncio
import random
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from datetime import timedelta
from importlib import import_module
from typing import Any

import obstore.exceptions as obs
from obstore.store import S3Store

from headwater.config_stack import S3

_PAUSE = 0.05
_PAUSE_MOST = 1.0


def connect(config: S3, *, retries: int = 2) -> S3Store:
    """The bucket, or the folder `config.prefix` in it, as obstore sees it. Nothing is sent yet.

    `retries` 0: for a put under a condition, whose failure says nothing until the object is read back.
    """
    half = timedelta(seconds=config.time / 2)
    return S3Store(
        config.bucket,
        prefix=config.prefix.strip("/") or None,
        endpoint=config.endpoint,
        region=config.region,
        access_key_id=config.access_key.get_secret_value(),
        secret_access_key=config.secret_key.get_secret_value(),
        virtual_hosted_style_request=False,
        client_options={
            "allow_http": config.endpoint.startswith("http://"),
            "timeout": half,
            "connect_timeout": min(half, timedelta(seconds=5)),
        },
        retry_config={"max_retries": retries, "retry_timeout": half},
    )


def delta_options(config: S3) -> dict[str, str]:
    """The same for `deltalake`. It puts a checkpoint in one piece, so that no reader sees half of one."""
    half = f"{config.time / 2:.3f}s"
    return {
        "aws_endpoint_url": config.endpoint,
        "aws_region": config.region,
        "aws_access_key_id": config.access_key.get_secret_value(),
        "aws_secret_access_key": config.secret_key.get_secret_value(),
        "aws_allow_http": str(config.endpoint.startswith("http://")).lower(),
        "aws_virtual_hosted_style_request": "false",
        "aws_conditional_put": "etag",
        "timeout": half,
        "connect_timeout": half,
        "max_retries": "2",
        "retry_timeout": half,
    }


@contextmanager
def as_os_error() -> Generator[None]:
    """What obstore raises → `FileExistsError`, `PermissionError`, else `OSError`.

    An object that is not there is a `FileNotFoundError` by itself, a bucket here: a put that raises it has no bucket.
    """
    try:
        yield
    except obs.BaseError as error:
        raise _named(error) from error


def _named(error: obs.BaseError) -> OSError:
    text = str(error)
    said = (text.splitlines() or [type(error).__name__])[0]
    if "NoSuchBucket" in text:
        return FileNotFoundError(said)
    if isinstance(error, (obs.AlreadyExistsError, obs.PreconditionError)):
        return FileExistsError(said)
    if isinstance(error, (obs.PermissionDeniedError, obs.UnauthenticatedError)):
        return PermissionError(said)
    return OSError(said)


def pauses(seconds: float) -> Iterator[float]:
    """How long to wait before the next attempt, growing and jittered, until half of `seconds` are over."""
    end = time.monotonic() + seconds / 2
    most = _PAUSE
    while (pause := random.random() * most) < end - time.monotonic():  # noqa: S311 -- not for secrets
        yield pause
        most = min(2 * most, _PAUSE_MOST)


async def make_bucket(config: S3) -> None:
    """Make the bucket unless it is there; uploads that nobody completed go after a day. Raises `OSError`.

    The requests take at most `config.time`. What makes them is 46 MB of library, loaded here, since a gateway rarely
    needs it, and by a thread, since connections must not wait for it: on a slow machine a second, which is not counted.
    """
    maker: Any = await asyncio.to_thread(import_module, "storage.s3_bucket")
    await maker.make_bucket(config)
