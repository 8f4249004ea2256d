"""A mail server on the loopback that keeps what it is sent, or refuses: enough of RFC 5321 for one client."""

import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import Message
from email.policy import default


@dataclass
class MailServer:
    """What arrived; with `refusing` every message is put off."""

    port: int = 0
    refusing: bool = False
    messages: list[Message] = field(default_factory=list)


@contextmanager
def mail_server() -> Iterator[MailServer]:
    """Run the server for the caller's time."""
    kept = MailServer()

    class Session(socketserver.StreamRequestHandler):
        def say(self, line: str) -> None:
            self.wfile.write(line.encode() + b"\r\n")

        def handle(self) -> None:
            self.say("220 test")
            while line := self.rfile.readline().strip().upper():
                if line.startswith(b"DATA"):
                    self.data()
                elif line.startswith(b"QUIT"):
                    self.say("221 bye")
                    return
                elif line.startswith(b"RCPT") and kept.refusing:
                    self.say("451 later")
                else:
                    self.say("250 ok")

        def data(self) -> None:
            self.say("354 go on")
            lines = []
            while (line := self.rfile.readline()) not in (b".\r\n", b""):
                lines.append(line)
            kept.messages.append(message_from_bytes(b"".join(lines), policy=default))
            self.say("250 ok")

    class Server(socketserver.ThreadingTCPServer):
        allow_reuse_address = True
        daemon_threads = True

    with Server(("127.0.0.1", 0), Session) as server:
        kept.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield kept
        finally:
            server.shutdown()
            thread.join(timeout=10)
