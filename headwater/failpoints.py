"""Named places where a test can make the program die, fail or wait: what `kill -9` between two lines means.

Armed by the environment, `HEADWATER_FAILPOINTS="a=kill@3,b=fail,c=sleep:2"`: at the third
passing of the first the process kills itself with SIGKILL; the second raises; the third waits two seconds. Unarmed, a
failpoint costs one look into an empty dict.
"""

import os
import signal
import time
from typing import Literal

from headwater.errors import ConfigError, Unavailable

Failpoint = Literal[
    "ingest.appended",  # the log has the entries; nothing is acknowledged yet
    "blobs.unnamed",  # a large payload is on the disk whole; nothing names it yet
    "blobs.named",  # it has its name; the message that refers to it is not logged
    "selector.emitted",  # candidates are on the log; the checkpoint is older
    "selector.checkpointed",  # the checkpoint is written; the group's commit is older
    "writer.written",  # the store has the batch; the group's commit is older
    "live.transaction",  # within the live store's transaction, before its commit
    "reports.transaction",  # within the reports' transaction, before its commit
    "lake.files_written",  # Parquet files are there; the Delta commit is not
    "lake.first_table",  # one of the tables that a batch goes to is committed, the other is not
    "lake.committed",  # the Delta commit is there; the worker does not know
    "lake.compacting",  # compacted files are written; the day still refers to the old ones
    "lake.compacted",  # the day refers to the new files; the old ones are still there
    "lake.erasing",  # a file without a device's rows is written; the table still refers to the one with them
    "lake.erased",  # the table refers to the new file; others may still have rows of that device
    "erase.stores",  # live state, documents, search and reports have forgotten a device; the lake has not
    "erase.blobs",  # its large payloads are gone; the messages that refer to them are not
    "erase.done",  # everything has forgotten it; the job does not say so yet
    "rejected.sent",  # what was rejected is on the log; nothing says yet that it was sent on
    "registry.changed",  # the change is in the tables; the outbox is not yet on the log
    "audit.writing",  # changes are in the tables; the audit log's file is not there yet
    "audit.written",  # the file is there; the process does not know
    "log.transaction",  # within the log's transaction, before its commit
]

_armed: dict[str, tuple[str, int]] = {}


def arm(text: str) -> None:
    """Arm from `name=action[@n]` items; actions: `kill`, `fail`, `sleep:SECONDS`. n counts passings, from 1."""
    _armed.clear()
    for item in filter(None, (part.strip() for part in text.split(","))):
        name, _, action = item.partition("=")
        if name not in Failpoint.__args__:
            raise ConfigError(f"no failpoint {name!r}; there are: {', '.join(Failpoint.__args__)}")
        action, _, nth = action.partition("@")
        if action.split(":")[0] not in {"kill", "fail", "sleep"}:
            raise ConfigError(f"failpoint action {action!r}: use kill, fail or sleep:SECONDS")
        _armed[name] = (action, int(nth or 1))


def passing(name: Failpoint) -> None:
    """Mark the place; act if it is armed. Blocks its thread while it sleeps: that is what it is for."""
    if not _armed or name not in _armed:
        return
    action, left = _armed[name]
    if left > 1:
        _armed[name] = (action, left - 1)
        return
    if action == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if action == "fail":
        raise Unavailable(f"failpoint {name}")
    time.sleep(float(action.partition(":")[2]))


arm(os.environ.get("HEADWATER_FAILPOINTS", ""))
