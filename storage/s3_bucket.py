"""The bucket itself, which obstore cannot make: by aiobotocore, loaded by `s3_client.make_bucket` when it is needed.

In: `config.S3`. Out: a bucket that is there, with a rule for uploads that nobody completed.
"""

import asyncio
from typing import Any, cast

from aiobotocore.config import AioConfig
from aiobotocore.session import get_session
from botocore.exceptions import BotoCoreError, ClientError

from headwater.config_stack import S3

_RULE = "headwater-incomplete-uploads"
_OURS = {"BucketAlreadyOwnedByYou", "BucketAlreadyExists"}
_NO_RULES = {"NoSuchLifecycleConfiguration"}
_UNABLE = {"InvalidArgument", "MalformedXML", "NotImplemented", "AccessDenied"}
"""How a server says that it has no such rule, or that others set it here. MinIO removes such uploads by itself."""


async def make_bucket(config: S3) -> None:
    """See `s3_client.make_bucket`."""
    client: Any = get_session().create_client(  # pyright: ignore[reportUnknownMemberType] -- it brings no types
        "s3",
        endpoint_url=config.endpoint,
        region_name=config.region,
        aws_access_key_id=config.access_key.get_secret_value(),
        aws_secret_access_key=config.secret_key.get_secret_value(),
        verify=config.endpoint.startswith("https://"),  # else certificates are loaded for nothing
        config=AioConfig(
            connect_timeout=min(5.0, config.time / 4),
            read_timeout=config.time / 4,
            retries={"total_max_attempts": 2, "mode": "standard"},
            s3={"addressing_style": "path"},
        ),
    )
    where = {} if config.region == "us-east-1" else {"LocationConstraint": config.region}
    place = {"CreateBucketConfiguration": where} if where else {}
    try:
        async with client as s3, asyncio.timeout(config.time):  # in this order: what the client loads is not counted
            await _unless(_OURS, s3.create_bucket(Bucket=config.bucket, **place))
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
