"""pyarrow as a type checker can bear it: it brings no types, and makes most of its compute functions at import.

Out: `pa`, `pc`, `pq`, and two words for what functions take and return.
"""

from typing import Any, TypeAlias

import pyarrow  # noqa: ICN001 -- `pa` is the typed name
import pyarrow.compute
import pyarrow.parquet

pa: Any = pyarrow
pc: Any = pyarrow.compute
pq: Any = pyarrow.parquet

Rows: TypeAlias = Any
"""A `pyarrow.Table`."""
Column: TypeAlias = Any
"""A `pyarrow.Array`."""
