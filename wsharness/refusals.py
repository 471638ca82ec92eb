"""What a simulation has no room for: sockets, subprocesses, signals; and what to do instead."""

from wsharness.errors import UnsupportedError

ELSEWHERE = "in a module that imports the app, and name that one; a test with the `ws` fixture runs on a real loop"
FAKE = f"put a fake in its place (a dependency override, an in-memory repository) {ELSEWHERE}"
ADVICE = {
    "a socket": FAKE,
    "a subprocess": FAKE,
    "a signal handler": "install it where the server is started, not in the app",
}
REFUSED = {
    "create_connection": "a socket",
    "create_datagram_endpoint": "a socket",
    "create_server": "a socket",
    "create_unix_connection": "a socket",
    "create_unix_server": "a socket",
    "connect_accepted_socket": "a socket",
    "connect_read_pipe": "a socket",
    "connect_write_pipe": "a socket",
    "sock_accept": "a socket",
    "sock_connect": "a socket",
    "sock_recv": "a socket",
    "sock_recv_into": "a socket",
    "sock_recvfrom": "a socket",
    "sock_sendall": "a socket",
    "sock_sendto": "a socket",
    "add_reader": "a socket",
    "add_writer": "a socket",
    "subprocess_exec": "a subprocess",
    "subprocess_shell": "a subprocess",
    "add_signal_handler": "a signal handler",
}


def unsupported(method: str) -> UnsupportedError:
    """The error for a call of a loop's method, with what to do instead."""
    what = REFUSED[method]
    return UnsupportedError(f"a simulation has no room for {what} (loop.{method}); {ADVICE[what]}")
