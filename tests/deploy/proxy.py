"""The proxy's list of what may pass, read from its configuration; and a stand-in that carries out just that list, for
machines without nginx."""

from __future__ import annotations

import re
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

CONFIG = Path(__file__).parents[2] / "deploy/nginx/defradb.conf"


def passes() -> dict[str, str]:
    """Lines of the map: "METHOD path" and 1, or `default` and 0."""
    block = re.search(r'map "\$request_method \$uri" \$passes \{(.*?)\}', CONFIG.read_text(), re.DOTALL)
    assert block is not None
    lines = [line.strip() for line in block[1].splitlines() if line.strip() and not line.strip().startswith("#")]
    found = {}
    for line in lines:
        entry = re.fullmatch(r'(default|"[A-Z]+ [^"~*]+")\s+([01]);', line)
        assert entry is not None, f"not a plain line: {line}"
        found[entry[1].strip('"')] = entry[2]
    return found


@contextmanager
def stand_in(target: str) -> Iterator[str]:
    """Address of a server that lets through what the map lets through."""
    allowed = {name for name, value in passes().items() if value == "1"}

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            status, content = 403, b'{"error": "refused"}'
            if f"{self.command} {urlsplit(self.path).path}" in allowed:
                headers = {"content-type": self.headers.get("content-type") or "application/json"}
                request = urllib.request.Request(target + self.path, body or None, headers, method=self.command)
                try:
                    with urllib.request.urlopen(request, timeout=60) as response:
                        status, content = response.status, response.read()
                except urllib.error.HTTPError as error:
                    status, content = error.code, error.read()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PATCH = do_DELETE = do_PUT = answer

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
