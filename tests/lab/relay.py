"""Passes connections on, for servers of this machine that listen on 127.0.0.1 alone.

`python relay.py ADDRESS PORT TO_PORT` takes connections at ADDRESS and PORT, where pods reach it,
and passes them to 127.0.0.1 and TO_PORT of this machine. It is one file of the standard library.
"""

import signal
import socket
import sys
import threading
from contextlib import suppress

CHUNK = 1 << 18


def main() -> None:
    """Listen for ever; each connection has two threads, for whole models pass through here."""
    # Whoever started us may ignore or block it, and we would inherit that.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
    address, port, to_port = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    with socket.create_server((address, port), backlog=128) as server:
        while True:
            taken, _ = server.accept()
            threading.Thread(target=_serve, args=(taken, to_port), daemon=True).start()


def _serve(taken: socket.socket, to_port: int) -> None:
    with taken:
        try:
            passed_to = socket.create_connection(("127.0.0.1", to_port), timeout=10)
        except OSError:
            return  # closing the connection is what a server that is down does, too
        with passed_to:
            passed_to.settimeout(None)
            back = threading.Thread(target=_copy, args=(passed_to, taken), daemon=True)
            back.start()
            _copy(taken, passed_to)
            back.join()


def _copy(source: socket.socket, sink: socket.socket) -> None:
    """Copy until the source has no more, and say so to the sink."""
    buffer = memoryview(bytearray(CHUNK))
    with suppress(OSError):
        while size := source.recv_into(buffer):
            sink.sendall(buffer[:size])
    with suppress(OSError):
        sink.shutdown(socket.SHUT_WR)


if __name__ == "__main__":
    main()
