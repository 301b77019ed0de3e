"""Settings of the profile `stack`: where Kafka and the five stores are. Part of `headwater.config`."""

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, model_validator

from headwater.config_section import Section
from headwater.quantities import Duration

# fmt: off
# One line a key: this is the table of settings.


class Kafka(Section):
    """Kafka, in the profile `stack`. The user needs to be allowed to make topics, unless they are there already."""

    servers: tuple[str, ...] = Field(default=("127.0.0.1:9092",), min_length=1, description="HOST:PORT of brokers to begin with.")
    prefix: str = Field(default="", pattern=r"^[A-Za-z0-9._-]*$", description="In front of every topic and group name, where several installations share brokers.")
    replication: int = Field(default=1, ge=1, le=7, description="Copies of each partition. 3 where there are brokers for it; with 1 a lost disk is lost data.")
    min_insync: int = Field(default=1, ge=1, le=7, description="Copies that must have an entry before it is acknowledged: 2 with replication 3.")
    security: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(default="PLAINTEXT", description="How to connect.")
    user: str = Field(default="", description="For SASL.")
    password: SecretStr = Field(default=SecretStr(""), description="For SASL.")
    mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = Field(default="SCRAM-SHA-512", description="For SASL.")
    ca: Path | None = Field(default=None, description="Certificates to trust, a PEM file; the system's, if empty.")
    request_time: Duration = Field(default=5, description="How long a request to a broker may take.")
    compression: Literal["none", "gzip", "lz4", "zstd"] = Field(default="none", description="Of batches on the topics. lz4 and zstd need the package cramjam, which Headwater does not install.")

    @model_validator(mode="after")
    def _copies(self) -> "Kafka":
        if self.min_insync > self.replication:
            raise ValueError("min_insync is above replication: nothing could be acknowledged")
        return self


class Redis(Section):
    """Redis, in the profile `stack`: live state."""

    url: str = Field(default="redis://127.0.0.1:6379/0", description="redis:// or rediss:// (TLS), with the number of the database.")
    user: str = Field(default="", description="User; empty for the default one.")
    password: SecretStr = Field(default=SecretStr(""), description="Password; empty: none.")
    prefix: str = Field(default="headwater", pattern=r"^[A-Za-z0-9._-]+$", description="In front of every key.")
    time: Duration = Field(default=5, description="How long a call may take.")


class MongoDb(Section):
    """MongoDB, in the profile `stack`: documents."""

    url: str = Field(default="mongodb://127.0.0.1:27017", description="mongodb:// or mongodb+srv://, with options, without a password.")
    user: str = Field(default="", description="User; empty: no authentication.")
    password: SecretStr = Field(default=SecretStr(""), description="Password.")
    database: str = Field(default="headwater", min_length=1, description="The database.")
    time: Duration = Field(default=10, description="How long a call may take.")


class Elasticsearch(Section):
    """Elasticsearch 8, in the profile `stack`: search."""

    urls: tuple[str, ...] = Field(default=("http://127.0.0.1:9200",), min_length=1, description="Nodes.")
    user: str = Field(default="", description="Empty: no authentication.")
    password: SecretStr = Field(default=SecretStr(""), description="The user's password.")
    ca: Path | None = Field(default=None, description="Certificates to trust, a PEM file; the system's, if empty.")
    prefix: str = Field(default="headwater", pattern=r"^[a-z0-9][a-z0-9._-]*$", description="In front of every index name.")
    replicas: int = Field(default=0, ge=0, description="Copies of each index beside the first.")
    time: Duration = Field(default=15, description="How long a call may take.")


class MariaDb(Section):
    """MariaDB or MySQL, in the profile `stack`: reports and the registry."""

    host: str = Field(default="127.0.0.1", description="Name or address.")
    port: int = Field(default=3306, ge=1, le=65535, description="Port.")
    user: str = Field(default="headwater", description="User.")
    password: SecretStr = Field(default=SecretStr(""), description="Password.")
    database: str = Field(default="headwater", pattern=r"^[A-Za-z0-9_]+$", description="The database; made if the user may.")
    connections: int = Field(default=4, ge=1, le=100, description="Connections a process may have for each part.")
    time: Duration = Field(default=10, description="How long a call may take.")


class S3(Section):
    """MinIO or other S3-compatible storage, in the profile `stack`: the lake and the selector's checkpoints."""

    endpoint: str = Field(default="http://127.0.0.1:9000", description="URL. Conditional puts (If-None-Match, If-Match) must work there.")
    bucket: str = Field(default="headwater", min_length=3, description="The bucket; made if it is not there.")
    prefix: str = Field(default="", description="A folder in the bucket; empty: all of it.")
    access_key: SecretStr = Field(default=SecretStr(""), description="Key id.")
    secret_key: SecretStr = Field(default=SecretStr(""), description="Secret key.")
    region: str = Field(default="us-east-1", description="Region.")
    time: Duration = Field(default=30, description="How long a call may take.")
