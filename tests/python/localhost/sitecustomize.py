"""Resolves *.localhost to loopback, as RFC 6761 section 6.3 asks of resolvers; not every libc does it.

Python runs this before anything else where its directory is in PYTHONPATH, so that what is tested stays as it is.
"""

import socket

original = socket.getaddrinfo


def getaddrinfo(host, *arguments, **named):
    name = host.decode() if isinstance(host, bytes) else host
    return original("127.0.0.1" if name and name.endswith(".localhost") else host, *arguments, **named)


socket.getaddrinfo = getaddrinfo
