import asyncio
import os
import signal
import socket
import subprocess
import sys
import threading
import time

import anyio
import anyio.from_thread
import anyio.to_thread
import pytest

from wsharness import errors
from wsharness.errors import UnsupportedError
from wsharness.refusals import REFUSED, unsupported
from wsharness.runner import run

# What is refused


async def connect_socket():
    await asyncio.open_connection("127.0.0.1", 9)


async def raw_socket():
    with socket.socket() as sock:
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", 9))


async def serve_socket():
    await asyncio.start_server(lambda r, w: None, "127.0.0.1", 0)


async def udp_socket():
    await asyncio.get_running_loop().create_datagram_endpoint(asyncio.DatagramProtocol, ("127.0.0.1", 0))


async def anyio_socket():
    await anyio.connect_tcp("127.0.0.1", 9)


async def watch_file():
    reading, writing = os.pipe()
    try:
        asyncio.get_running_loop().add_reader(reading, print)
    finally:
        os.close(reading)
        os.close(writing)


async def wait_readable():
    with socket.socket() as sock:
        await anyio.wait_readable(sock)


async def run_program():
    await asyncio.create_subprocess_exec(sys.executable, "-c", "")


async def run_shell():
    await asyncio.create_subprocess_shell("true")


async def anyio_program():
    await anyio.run_process([sys.executable, "-c", ""])


async def handle_signal():
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, print)


def unwrapped(error):
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


@pytest.mark.parametrize(
    ("main", "what"),
    [
        (connect_socket, "a socket"),
        (raw_socket, "a socket"),
        (serve_socket, "a socket"),
        (udp_socket, "a socket"),
        (anyio_socket, "a socket"),
        (watch_file, "a socket"),
        (wait_readable, "a socket"),
        (run_program, "a subprocess"),
        (run_shell, "a subprocess"),
        (anyio_program, "a subprocess"),
        (handle_signal, "a signal handler"),
    ],
)
def test_what_is_real_is_refused_by_name_with_what_to_do(main, what):
    with pytest.raises((errors.UnsupportedError, BaseExceptionGroup)) as caught:
        run(main)
    error = unwrapped(caught.value)
    assert isinstance(error, errors.UnsupportedError)
    assert what in str(error)


def test_looking_up_an_address_is_allowed():
    async def main():
        return await asyncio.get_running_loop().getaddrinfo("127.0.0.1", 80)

    assert run(main)


def test_a_process_pool_is_refused():
    from concurrent.futures import ProcessPoolExecutor

    async def main():
        with ProcessPoolExecutor(1) as pool:
            await asyncio.get_running_loop().run_in_executor(pool, abs, -1)

    with pytest.raises(errors.UnsupportedError, match="a subprocess"):
        run(main)


def test_real_io_stops_time_from_jumping_while_it_is_open():
    async def main():
        loop = asyncio.get_running_loop()
        one, two = socket.socketpair()
        one.setblocking(False)
        two.setblocking(False)
        threading.Timer(0.05, two.send, (b"x",)).start()
        await loop.sock_recv(one, 1)
        passed = loop.time()
        one.close()
        two.close()
        await asyncio.sleep(5000)
        return passed

    assert 0.01 < run(main, real_io=True) < 30


def test_time_jumps_again_when_the_last_thread_has_ended():
    async def main():
        threading.Timer(0.2, int).start()
        await asyncio.sleep(5000)

    began = time.monotonic()
    run(main, real_io=True)
    assert time.monotonic() - began < 300


def test_real_io_runs_subprocesses():
    async def main():
        process = await asyncio.create_subprocess_exec(sys.executable, "-c", "print(6 * 7)", stdout=subprocess.PIPE)
        output, _ = await process.communicate()
        return output.strip(), process.returncode

    assert run(main, real_io=True) == (b"42", 0)


@pytest.mark.parametrize("method", REFUSED)
def test_each_is_refused_by_name_with_what_to_do(method):
    error = unsupported(method)
    assert isinstance(error, UnsupportedError)
    assert f"(loop.{method})" in str(error)
    assert "real_io" not in str(error)  # neither the command line nor simulate() takes it
    assert ("put a fake in its place" in str(error)) is (REFUSED[method] != "a signal handler")
    assert hasattr(asyncio.AbstractEventLoop, method)
