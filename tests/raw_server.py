"""A TCP server that answers each request with the bytes it is told to: for replies that no real server would send."""

import socket
import threading
import time


class RawServer:
    """Answers the n-th request with the n-th reply, then with the last one.

    A reply is bytes, or a list of bytes and of seconds to pause; then the connection closes, unless the reply is bytes
    with `connection: keep-alive`. `None` closes it without an answer.
    """

    def __init__(self, *replies):
        self.replies = list(replies)
        self.requests = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.base_url = f"http://127.0.0.1:{self._listener.getsockname()[1]}/v1"
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._open = []

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in self._open:
            connection.close()
        self._thread.join(5)

    def _accept(self):
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._open.append(connection)
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection):
        with connection:
            try:
                while request := _read_request(connection):
                    reply = self.replies[min(len(self.requests), len(self.replies) - 1)]
                    self.requests.append((connection, request))
                    for part in [reply] if isinstance(reply, bytes) else reply or []:
                        if isinstance(part, bytes):
                            connection.sendall(part)
                        else:
                            time.sleep(part)
                    if not (isinstance(reply, bytes) and b"connection: keep-alive" in reply):
                        return
            except OSError:
                pass


def _read_request(connection):
    received = b""
    while b"\r\n\r\n" not in received:
        part = connection.recv(65536)
        if not part:
            return b""
        received += part
    head, _, body = received.partition(b"\r\n\r\n")
    lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    while len(body) < int(lengths[0].partition(b":")[2]):
        body += connection.recv(65536)
    return head + b"\r\n\r\n" + body


def wait_until(server, holds, seconds=10.0):
    """Wait for the counters of a SimulatedServer to say something; blocks its thread."""
    end = time.monotonic() + seconds
    while not holds(server.stats()):
        assert time.monotonic() < end, server.stats()
        time.sleep(0.01)
    return server.stats()


def http(body, status="200 OK", content_type="application/json", **headers):
    """One complete reply."""
    body = body.encode() if isinstance(body, str) else body
    headers = {"connection": "close", **headers}
    lines = [f"HTTP/1.1 {status}", f"content-type: {content_type}", f"content-length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body
