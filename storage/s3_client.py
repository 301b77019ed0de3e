"""One way to S3 for all who use it: a client with bounded time, its errors as `OSError`, and the bucket made.

In: `config.S3`. Out: an obstore `S3Store`, and a bucket that is there. A call takes at most about `config.time`: half
of it an attempt, and no attempt begins in the second half.
"""

import random
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, cast

import obstore.exceptions as obs
from aiobotocore.config import AioConfig
from aiobotocore.session import get_session
from botocore.exceptions import BotoCoreError, ClientError
from obstore.store import S3Store

from headwater.config_stack import S3

_RULE = "headwater-incomplete-uploads"
_OURS = {"BucketAlreadyOwnedByYou", "BucketAlreadyExists"}
_NO_RULES = {"NoSuchLifecycleConfiguration"}
_UNABLE = {"InvalidArgument", "MalformedXML", "NotImplemented", "AccessDenied"}
"""How a server says that it has no such rule, or that others set it here. MinIO removes such uploads by itself."""
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
    """Make the bucket unless it is there; uploads that nobody completed go after a day. Raises `OSError`."""
    client: Any = get_session().create_client(  # pyright: ignore[reportUnknownMemberType] -- it brings no types
        "s3",
        endpoint_url=config.endpoint,
        region_name=config.region,
        aws_access_key_id=config.access_key.get_secret_value(),
        aws_secret_access_key=config.secret_key.get_secret_value(),
        config=AioConfig(
            connect_timeout=min(5.0, config.time / 4),
            read_timeout=config.time / 4,
            retries={"total_max_attempts": 2, "mode": "standard"},
            s3={"addressing_style": "path"},
        ),
    )
    try:
        async with client as s3:
            where = {} if config.region == "us-east-1" else {"LocationConstraint": config.region}
            await _unless(
                _OURS, s3.create_bucket(Bucket=config.bucket, **({"CreateBucketConfiguration": where} if where else {}))
            )
            await _unless(_UNABLE, _add_rule(s3, config.bucket))
    except (BotoCoreError, ClientError) as error:
        raise OSError(f"bucket {config.bucket}: {error}") from error


async def _add_rule(s3: Any, bucket: str) -> None:
    """Beside the rules that others have made there."""
    found = await _unless(_NO_RULES, s3.get_bucket_lifecycle_configuration(Bucket=bucket))
    rules = list((found or {}).get("Rules", []))
    if any(rule.get("ID") == _RULE for rule in rules):
        return
    rule = {
        "ID": _RULE,
        "Status": "Enabled",
        "Filter": {"Prefix": ""},
        "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1},
    }
    await s3.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": [*rules, rule]})


async def _unless(codes: set[str], call: Any) -> Any:
    """The answer; None if the server says one of these."""
    try:
        return await call
    except ClientError as error:
        said = cast("dict[str, dict[str, str]]", error.response)  # pyright: ignore[reportUnknownMemberType]
        if said.get("Error", {}).get("Code") not in codes:
            raise
        return None
