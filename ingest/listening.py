"""Sockets to listen on.

In: HOST:PORT from the configuration. Out: bound sockets and the address with the real port, or `ConfigError`.
"""

import socket

from headwater.errors import ConfigError


def listen(address: str, key: str) -> tuple[list[socket.socket], str]:
    """Bind to all that HOST:PORT means (`localhost` may be two). `key`: the setting to name in `ConfigError`."""
    host, _, port = address.rpartition(":")
    sockets: list[socket.socket] = []
    try:
        found = socket.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, _, _, _, where in dict.fromkeys(found):
            bound = socket.socket(family, socket.SOCK_STREAM)
            sockets.append(bound)
            bound.setblocking(False)  # noqa: FBT003 - positional only
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            bound.bind((where[0], int(port), *where[2:]))
            port = str(bound.getsockname()[1])
    except OSError as error:
        for bound in sockets:
            bound.close()
        raise ConfigError(f"{key}: cannot listen on {address}: {error.strerror or error}") from None
    return sockets, f"{host}:{port}"
