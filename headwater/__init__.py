"""The core vocabulary of Headwater, and (in `app` and `cli`) the place where its parts are put together.

A message's way: `ingest` (identify, decode, validate, append, acknowledge) → the log → `consumers` (select, write)
→ `storage` (live, lake, …) → `query` (answers). This package holds what all of them speak of.
"""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("headwater")
except PackageNotFoundError:
    __version__ = "0+checkout"
