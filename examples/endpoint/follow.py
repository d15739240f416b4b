"""What an application does that takes a value from keyferry's socket and follows its rotation.

    python3 follow.py /run/keyferry-api/api.sock db-password

Python's standard library alone. It says when there is a value and when there is another one, and never the value itself.
"""

import http.client
import socket
import sys
import time


class UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path):
        super().__init__("localhost", timeout=90)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


def values(path, name):
    """The value, and each that comes after it. An agent that is restarting is waited for."""
    tag = None
    while True:
        headers = {"Keyferry-Request": "true"} | ({"If-None-Match": tag} if tag else {})
        connection = UnixConnection(path)
        try:
            connection.request("GET", f"/v1/secrets/{name}?wait=60s", headers=headers)
            # Whoever knows no value has the one there is at once.
            response = connection.getresponse()
            body = response.read()
        except (OSError, http.client.HTTPException):
            time.sleep(1)
            continue
        finally:
            connection.close()
        if response.status == 200:
            tag = response.headers["ETag"]
            yield body
        elif response.status not in (304, 503):
            sys.exit(f"keyferry answers {response.status}: {body.decode()}")


if __name__ == "__main__":
    for number, value in enumerate(values(*sys.argv[1:3]), 1):
        print(f"value {number}: {len(value)} bytes", flush=True)
