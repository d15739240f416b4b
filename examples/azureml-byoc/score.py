"""A scoring server that takes its secrets from the environment, once, when it starts.

    python3 score.py 5001

Python's standard library alone. It says how long its secrets are, so that one sees a rotation arrive, and never what they are.
"""

import json
import os
import signal
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SECRETS = {name: os.environ[name] for name in ("OPENAI_API_KEY", "AZURE_OPENAI_ENDPOINT", "DB_PASSWORD")}


class Handler(BaseHTTPRequestHandler):
    def answer(self, status, body):
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def do_GET(self):
        """The platform's probes."""
        self.answer(*((200, "well") if self.path == "/" else (404, "ask for / or /score")))

    def do_POST(self):
        if self.path != "/score":
            return self.answer(404, "ask for / or /score")
        # Here a model, or a service that the secrets open, would be asked.
        try:
            data = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))))
        except ValueError:
            return self.answer(400, "send JSON")
        self.answer(200, {"data": data, "characters": {name: len(value) for name, value in SECRETS.items()}})

    def log_message(self, *_):
        """The platform has a log of requests already."""


class Server(ThreadingHTTPServer):
    # What is being answered when a rotation, or the platform, ends this server is answered to its end.
    daemon_threads = False


if __name__ == "__main__":
    with Server(("", int(sys.argv[1])), Handler) as server:
        signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
        server.serve_forever()
