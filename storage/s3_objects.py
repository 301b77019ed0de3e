"""Small files in the lake's folder of a bucket: put whole, read whole, listed, dropped. Keeps nothing on this machine.

In: paths relative to the lake and bytes. Out: durable objects. Nothing is sent before it is asked to; a bucket that is
not there is made by the first put.
"""

import asyncio
import time
from collections.abc import Callable, Sequence

import obstore

from headwater.config_stack import S3
from storage.listed import Listed
from storage.s3_client import as_os_error, connect, make_bucket, pauses

_FOLDER = "lake"
_PIECE = 8 * 2**20
_PROBE = ".probe"


class S3Objects:
    """See `LakeFiles`, whose methods these are. The lake is the folder `lake` of the bucket, below `config.prefix`."""

    def __init__(self, config: S3) -> None:
        self._config = config
        self._prefix = "/".join(part for part in (config.prefix.strip("/"), _FOLDER) if part)
        place = config.model_copy(update={"prefix": self._prefix})
        self._store = connect(place)
        self._once = connect(place, retries=0)

    def put(self, path: str, data: memoryview | bytes) -> None:
        """See `LakeFiles`."""
        unsigned = memoryview(data).cast("B")
        self._putting(lambda: obstore.put(self._store, path, unsigned, chunk_size=_PIECE))

    def put_new(self, path: str, data: bytes) -> None:
        """See `LakeFiles`. An attempt that nobody answered may have put it: so what is there is compared with ours."""
        waits = pauses(self._config.time)
        while True:
            try:
                return self._putting(lambda: obstore.put(self._once, path, data, mode="create", use_multipart=False))
            except FileExistsError:
                if self.read(path) == data:
                    return None
                raise
            except OSError:
                if (pause := next(waits, None)) is None:
                    raise
                time.sleep(pause)

    def read(self, path: str) -> bytes:
        """See `LakeFiles`."""
        with as_os_error():
            return bytes(obstore.get(self._store, path).bytes())

    def list(self, folder: str) -> Sequence[Listed]:
        """See `LakeFiles`."""
        try:
            with as_os_error():
                found = obstore.list_with_delimiter(self._store, folder)["objects"]
        except FileNotFoundError:
            return []
        return [Listed(one["path"], one["size"], one["last_modified"].timestamp()) for one in found]

    def folders(self, folder: str) -> Sequence[str]:
        """The paths of the folders in a folder; none if there is no such folder. Raises `OSError`."""
        try:
            with as_os_error():
                return obstore.list_with_delimiter(self._store, folder)["common_prefixes"]
        except FileNotFoundError:
            return []

    def drop(self, folder: str) -> None:
        """Remove a folder, if it is there, with the files in it. Raises `OSError`."""
        if gone := [one.path for one in self.list(folder)]:
            with as_os_error():
                obstore.delete(self._store, gone)

    def probe(self) -> None:
        """See `LakeFiles`."""
        self._putting(lambda: obstore.put(self._store, _PROBE, b"?", use_multipart=False))

    def _putting(self, put: Callable[[], object]) -> None:
        """A put finds nothing missing but the bucket: a server that came back empty gets it again."""
        with as_os_error():
            try:
                put()
            except FileNotFoundError:
                asyncio.run(make_bucket(self._config))
                put()
