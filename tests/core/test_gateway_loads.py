"""What a gateway's process has in memory: it is paid for on every gateway."""

import subprocess
import sys

STORES = ["duckdb", "deltalake", "pyarrow", "elasticsearch", "pymongo", "redis", "aiobotocore", "obstore", "aiomysql"]


def test_a_gateway_loads_no_library_of_a_store():
    seen = f"import sys, headwater.commands.gateway; print(*sorted({{*{STORES}}} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", seen], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split() == []
