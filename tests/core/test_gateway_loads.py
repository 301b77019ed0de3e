"""What a gateway's process has in memory: it is paid for on every gateway."""

import subprocess
import sys

NOT_LOADED = [
    "fastapi",
    "structlog",
    "rich",
    "pygments",
    "cryptography",
    "aiomysql",
    "obstore",
    "sqlite3",
    "yaml",
    "duckdb",
    "deltalake",
    "pyarrow",
    "elasticsearch",
    "pymongo",
    "redis",
    "aiobotocore",
]


def test_a_gateway_begins_without_what_few_gateways_use():
    loaded = "headwater.commands.gateway, storage.kafka_log"
    seen = f"import sys, {loaded}; print(*sorted({{*{NOT_LOADED}}} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", seen], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split() == []
