"""What a gateway's process has in memory: it is paid for on every gateway."""

import subprocess
import sys

NOT_LOADED = [
    "fastapi",
    "cryptography",
    "aiomysql",
    "obstore",
    "duckdb",
    "deltalake",
    "pyarrow",
    "elasticsearch",
    "pymongo",
    "redis",
    "aiobotocore",
]


def test_a_gateway_begins_without_what_few_gateways_use():
    seen = f"import sys, headwater.commands.gateway; print(*sorted({{*{NOT_LOADED}}} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", seen], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split() == []
