import asyncio
import socket
import ssl
import threading
import time

import pytest

import wsharness
from tests.differential.measure import hold_port
from tests.wire.servers import PATIENCE, SERVERS, answering, make_certificate, request, serving
from wsharness.deployed import Target, make_tls
from wsharness.errors import UnreachableError, UnsupportedError, UsageError
from wsharness.harness import Harness
from wsharness.link import Faults
from wsharness.runner import run

pytestmark = pytest.mark.usefixtures("patiently")


@pytest.fixture(scope="module")
def url():
    with serving("uvicorn") as found:
        yield found


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    return make_certificate(tmp_path_factory.mktemp("certificate"))


async def end_of(name, asking):
    """What the app was told at the end of a connection, which it will be soon."""
    end = None
    async with asyncio.timeout(PATIENCE):
        while end is None:
            await asking.send(f"end {name}")
            end = await asking.expect()
            await asyncio.sleep(0.01)
    return end


# A real server, the verbs of any client


@pytest.mark.parametrize("name", SERVERS)
async def test_the_verbs_work_on_every_server(name):
    with serving(name) as url:
        async with Harness(url) as ws:
            client = await ws.connect("/any", query={"user": "alice"}, cookies={"a": "1"}, auth="s3cret")
            assert client.accepted.subprotocol is None
            await client.send({"type": "say"})
            assert await client.expect({"type": "say"}) == {"type": "say"}
            await client.send_bytes(b"\x00\xff")
            await client.expect_bytes(b"\x00\xff")
            await client.send("request")
            told = await client.expect({"path": "/any", "query": "user=alice"})
            headers = dict(told["headers"])
            assert (headers["cookie"], headers["authorization"]) == ("a=1", "Bearer s3cret")
            await client.reconnect(subprotocols=["chat.v1"])
            assert client.subprotocol == "chat.v1"
            await client.send("close 4001 bye")
            await client.expect_close(4001, "" if name == "daphne" else "bye")
            with pytest.raises(wsharness.ConnectionRejected) as rejected:
                await ws.connect("/deny")
            assert (rejected.value.status, rejected.value.app_code) == (403, None)
            dropped = await ws.connect("/dropped")
            await dropped.drop(reset=True)
            left = await ws.connect("/left")
        assert (left.ended.code, dropped.ended) == (1000, None)
        assert ws.result().failures == []


async def test_a_client_answers_pings_while_it_reads():
    with serving("uvicorn", ws_ping_interval=0.2, ws_ping_timeout=3) as url:
        async with Harness(url) as ws:
            deaf, asking = await ws.connect("/deaf"), await ws.connect("/asking")
            deaf.stall()
            await end_of("deaf", asking)
            deaf.resume()
            await deaf.expect_close(lambda code: code in (1006, 1011))
            assert asking.state == "connected"


async def test_many_clients_at_once(url):
    async with Harness(url) as ws:
        clients = await ws.connect_many(20, "/many")
        for number, client in enumerate(clients):
            await client.send(number)
        for number, client in enumerate(clients):
            await client.expect(number)


def test_the_sync_form_works(url):
    from wsharness.sync import SyncHarness

    with SyncHarness(Harness(url)) as ws:
        client = ws.connect("/sync")
        client.send("hi")
        assert client.expect() == "hi"


async def test_a_wait_fails_with_the_transcript_and_says_nothing_of_an_app(url):
    async with Harness(url, timeout=0.2) as ws:
        client = await ws.connect("/quiet", timeout=PATIENCE)
        with pytest.raises(wsharness.ExpectationError) as failed:
            await client.expect("never")
    assert "within 0.2 s; no message came" in str(failed.value)
    assert "/quiet" in str(failed.value)
    assert "handler" not in str(failed.value)


async def test_a_subprotocol_that_was_not_offered_is_told_as_in_process(url):
    async with Harness(url) as ws:
        with pytest.raises(wsharness.WebSocketError, match=r"chose the subprotocol 'chat\.v9', which was not offered"):
            await ws.connect("/choose", subprotocols=["chat.v1"], timeout=PATIENCE)
        client = await ws.connect("/choose", subprotocols=["chat.v9"], timeout=PATIENCE)
        assert client.subprotocol == "chat.v9"
        [failure] = ws.result().failures
    assert (failure.code, failure.route) == ("WSH207", "/choose")
    assert failure.message == "expected the subprotocol 'chat.v1', which the client offered; got 'chat.v9'"


async def test_text_that_is_no_unicode_goes_out_as_it_is(url):
    async with Harness(url) as ws:
        client = await ws.connect("/broken")
        await client.send("\ud800")
        await client.expect_close(1007)


async def test_a_message_that_is_too_big_is_closed_by_the_server_with_1009():
    with serving("uvicorn", ws_max_size=1000) as url:
        async with Harness(url) as ws:
            client = await ws.connect("/big")
            await client.send("x" * 1001)
            await client.expect_close(1009)


async def test_a_server_can_be_asked_for_by_another_name(url):
    async with Harness(f"{url}/api") as ws:
        client = await ws.connect("/hosted", headers={"Host": "shop.example", "User-Agent": "robot"})
        await client.send("request")
        told = await client.expect({"path": "/api/hosted"})
    headers = dict(told["headers"])
    assert (headers["host"], headers["user-agent"]) == ("shop.example", "robot")
    assert len([key for key, _ in told["headers"] if key == "host"]) == 1


async def test_another_name_and_a_proxy_exclude_each_other():
    with pytest.raises(UsageError, match="leave out the host header 'shop.example', or the proxy"):
        async with Harness(Target("ws://192.0.2.1", proxy="http://192.0.2.2")) as ws:
            await ws.connect("/", headers={"Host": "shop.example"})


def test_a_simulation_is_of_an_app(url):
    with pytest.raises(UsageError, match="a deployed server is no simulation: open `Harness"):
        wsharness.simulate(lambda ws: None, url)


async def test_what_a_harness_hides_of_an_app_is_not_hidden_here():
    with pytest.raises(UnreachableError):
        with hold_port() as held:
            async with Harness(f"ws://127.0.0.1:{held.getsockname()[1]}", raise_app_exceptions=False) as ws:
                await ws.connect("/")


async def test_a_subprotocol_that_cannot_be_is_the_callers_mistake(url):
    async with Harness(url) as ws:
        with pytest.raises(UsageError, match="this handshake cannot be sent: invalid subprotocol: chat v1"):
            await ws.connect("/", subprotocols=["chat v1"])


async def test_a_server_that_is_killed_loses_its_clients(tmp_path):
    from tests.differential.measure import RealServer

    server = RealServer("uvicorn", {}, tmp_path, "tests.wire.app:app")
    try:
        await server.started()
        async with Harness(f"ws://127.0.0.1:{server.port}") as ws:
            client = await ws.connect("/orphan")
            server.kill()
            await client.expect_close(1006)
            with pytest.raises(UnreachableError, match="nothing listens on 127.0.0.1 port"):
                await client.reconnect()
    finally:
        server.kill()


async def test_a_path_of_the_target_comes_first(url):
    async with Harness(f"{url}/api/") as ws:
        client = await ws.connect("/chat?a=1", query={"b": "2"})
        await client.send("request")
        await client.expect({"path": "/api/chat", "query": "a=1&b=2"})


@pytest.mark.parametrize(("code", "reason"), [(1005, ""), (999, ""), (5000, ""), (1000, "é" * 62)])
async def test_a_close_frame_that_cannot_be_is_refused(url, code, reason):
    async with Harness(url) as ws:
        client = await ws.connect("/")
        with pytest.raises(UsageError, match="expected a close"):
            await client.connection.close(code, reason)


async def test_a_reason_needs_a_code(url):
    async with Harness(url) as ws:
        client = await ws.connect("/")
        with pytest.raises(UsageError, match="after a code"):
            await client.connection.close(None, "why")


# Faults on a real wire


async def test_latency_on_a_real_wire(url):
    async with Harness(url) as ws:
        ws.set_faults({"far": Faults(latency=0.1)})
        far = await ws.connect("/far", name="far")
        near = await ws.connect("/near", name="near")
        overtaken = False
        async with asyncio.timeout(PATIENCE):  # what is near may be late as well, but not each time
            while not overtaken:
                before = ws.runtime.time()
                await far.send("a")
                await near.send("a")
                await near.expect("a")
                overtaken = far.unread == ()
                await far.expect("a")
                assert ws.runtime.time() - before >= 0.2


async def test_a_link_changes_in_mid_run_on_a_real_wire(url):
    async with Harness(url) as ws:
        client = await ws.connect("/changing")
        client.link = Faults(latency=0.1)
        before = ws.runtime.time()
        await client.send("a")
        await client.expect("a")
        assert ws.runtime.time() - before >= 0.2
        client.link = Faults(half_open=True)
        await client.close()
        asking = await ws.connect("/asking")
        await asking.send("end changing")
        await asking.expect(None)
        client.link = Faults()
        assert await end_of("changing", asking) == [1000, ""]


async def test_a_reset_and_a_limit_on_a_real_wire(url):
    async with Harness(url) as ws:
        ws.set_faults({"reset": Faults(reset_peer=0.05), "limited": Faults(limit_data=10)})
        reset = await ws.connect("/reset", name="reset")
        limited = await ws.connect("/limited", name="limited")
        await limited.send("x" * 11)
        await limited.expect_close(1006)
        await reset.expect_close(1006)
        asking = await ws.connect("/asking")
        for name in ("reset", "limited"):
            assert (await end_of(name, asking))[0] in (1005, 1006)


async def test_a_slow_reader_on_a_real_wire(url):
    async with Harness(url) as ws:
        ws.set_faults({"slow": Faults(stall=True)})
        slow = await ws.connect("/slow-reader", name="slow")
        asking = await ws.connect("/asking")
        await slow.send("flood 400")
        counts = []
        async with asyncio.timeout(PATIENCE):
            while not counts or not counts[-1] or len(set(counts[-20:])) > 1 or len(counts) < 20:
                await asking.send("sent slow-reader")
                counts.append(await asking.expect())
                await asyncio.sleep(0.01)
        assert 0 < counts[-1] < 400
        assert slow.received == []


# TLS


async def test_tls_with_an_authority_that_is_known(certificate):
    cert, key = certificate
    with serving("uvicorn", ssl_certfile=str(cert), ssl_keyfile=str(key)) as url:
        async with Harness(Target(url, tls=make_tls(authority=cert))) as ws:
            client = await ws.connect("/secret")
            client.stall()
            await client.send("hi")
            client.resume()
            await client.expect("hi")
            await client.send("close 4000")
            await client.expect_close(4000)
            for reset in (False, True):
                name = f"secret{reset}"
                dropping = await ws.connect(f"/{name}")
                await dropping.drop(reset=reset)
                asking = await ws.connect("/asking")
                await end_of(name, asking)
        async with Harness(Target(url, tls=make_tls(insecure=True))) as ws:
            await ws.connect("/")
        with pytest.raises(
            UnreachableError, match="certificate that is not trusted: self-signed certificate; name its"
        ):
            async with Harness(url) as ws:
                await ws.connect("/")
        with pytest.raises(UnreachableError, match=r"or does it speak TLS \(wss://\)\?"):
            async with Harness(url.replace("wss", "ws")) as ws:
                await ws.connect("/")


async def test_tls_to_a_server_without_it(url):
    with pytest.raises(UnreachableError, match="cannot be talked to by TLS: .*; write ws:// if the server has no TLS"):
        async with Harness(url.replace("ws", "wss")) as ws:
            await ws.connect("/")


def test_certificates_that_cannot_be_read(tmp_path):
    (tmp_path / "ca.pem").write_text("no certificate", encoding="utf-8")
    for file in (tmp_path / "ca.pem", tmp_path / "none.pem"):
        with pytest.raises(UsageError, match="cannot read certificates from .*; give a PEM file"):
            make_tls(authority=file)
    assert make_tls() is None


def test_tls_settings_are_for_wss():
    with pytest.raises(UsageError, match="TLS settings are for wss:// targets; got 'ws://a'"):
        Target("ws://a", tls=ssl.create_default_context())


# Targets that do not answer


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("http://127.0.0.1:8000/x", "begins with ws:// or wss://; got 'http://127.0.0.1:8000/x'; write 'ws://127.0.0.1:8000/x'"),
        ("https://a", "write 'wss://a'"),
        ("127.0.0.1:8000", "write 'ws://127.0.0.1:8000'"),
        ("ftp://a", "got 'ftp://a'"),
        ("ws://", "expected a host"),
        ("ws://a:0", "expected a host"),
        ("ws://a b", "expected a host"),
        ("ws://a/x?b=1", "--query NAME=VALUE"),
        ("ws://a#b", "neither query nor fragment"),
        ("ws://a:99999", "expected a URL such as ws://127.0.0.1:8000; got 'ws://a:99999': Port out of range"),
        ("ws://[::1", "Invalid IPv6 URL"),
    ],
)  # fmt: skip
def test_a_url_that_is_no_target(url, sentence):
    with pytest.raises(UsageError) as error:
        Harness(url)
    assert sentence in str(error.value)


async def fails(url, timeout=PATIENCE, **options):
    with pytest.raises(UnreachableError) as error:
        async with Harness(Target(url, **options), timeout=timeout) as ws:
            await ws.connect("/ws")
    return str(error.value)


async def test_a_port_where_nothing_listens():
    with hold_port() as held:
        port = held.getsockname()[1]
        assert await fails(f"ws://127.0.0.1:{port}") == (
            f"ws://127.0.0.1:{port} cannot be reached: nothing listens on 127.0.0.1 port {port}; "
            "start the server, or check the port"
        )


async def test_a_host_that_has_no_address(no_names):
    assert "cannot be found: 'nosuch.invalid' has no address" in await fails("ws://nosuch.invalid")


async def test_another_error_of_the_network(monkeypatch):
    async def create_connection(*_, **__):
        raise OSError(101, "Network is unreachable")

    monkeypatch.setattr(asyncio.get_running_loop(), "create_connection", create_connection)
    assert "cannot be reached: Network is unreachable; check the host and the port" in await fails("ws://192.0.2.1")


async def test_a_host_that_never_answers(monkeypatch):
    async def create_connection(*_, **__):
        await asyncio.sleep(3600)

    monkeypatch.setattr(asyncio.get_running_loop(), "create_connection", create_connection)
    assert "could not be connected to within 0.1 s; check" in await fails("ws://192.0.2.1", 0.1)


async def test_a_web_server_that_answers_200():
    with serving("uvicorn", ws="none") as url:
        assert "answered HTTP 200 to a WebSocket handshake" in await fails(url)


ANSWERS = {
    "garbage": (b"SSH-2.0-OpenSSH_9.6\r\n", "did not answer as a WebSocket server"),
    "nothing": (b"", "ended the connection without an answer to the handshake"),
    "half": (b"HTTP/1.1 101 Swit", "ended the connection without an answer"),
    "no upgrade": (b"HTTP/1.1 101 Switching Protocols\r\n\r\n", "did not answer as a WebSocket server: missing"),
    "another key": (
        b"HTTP/1.1 101 S\r\nUpgrade: websocket\r\nConnection: upgrade\r\nSec-WebSocket-Accept: x\r\n\r\n",
        "did not answer as a WebSocket server: invalid Sec-WebSocket-Accept header",
    ),
    "200": (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", "answered HTTP 200 to a WebSocket handshake"),
}


@pytest.mark.parametrize("kind", ANSWERS)
async def test_what_is_no_websocket_server(kind):
    answer, sentence = ANSWERS[kind]

    def talk(connection):
        request(connection)
        connection.sendall(answer)

    with answering(talk) as url:
        assert sentence in await fails(url)


async def test_a_redirect_is_shown_and_not_followed():
    def talk(connection):
        request(connection)
        connection.sendall(b"HTTP/1.1 302 Found\r\nLocation: /login\r\nContent-Length: 0\r\n\r\n")

    with answering(talk) as url:
        async with Harness(url) as ws:
            with pytest.raises(wsharness.ConnectionRejected) as rejected:
                await ws.connect("/")
    assert (rejected.value.status, dict(rejected.value.headers)["location"]) == (302, "/login")


async def test_a_server_that_takes_the_connection_and_says_nothing():
    began = time.monotonic()
    with answering(lambda connection: connection.recv(1 << 20) and connection.recv(1)) as url:
        assert "took the connection and said nothing for 1 s; is it a WebSocket server?" in await fails(url, 1)
    assert time.monotonic() - began < PATIENCE  # it is ended, not waited for


async def test_silence_of_a_server_that_has_spoken_is_the_apps(url):
    async with Harness(url, timeout=0.2) as ws:
        await ws.connect("/", timeout=PATIENCE)
        with pytest.raises(wsharness.ExpectationError, match=r"handshake was not answered within 0\.2 s"):
            await ws.connect("/silent")
        assert "connecting" in repr(ws.clients[1])


async def test_a_wrong_answer_of_a_server_that_has_spoken_is_a_lost_connection(url):
    host, port = Target(url).address
    count = 0

    def talk(connection):
        nonlocal count
        count += 1
        if count == 1:
            relay(connection, host, port)

    with answering(talk) as relayed:
        async with Harness(relayed) as ws:
            await ws.connect("/")
            with pytest.raises(wsharness.ConnectionLost):
                await ws.connect("/")


def test_a_target_shows_no_password_and_knows_its_address():
    target = Target("wss://user:secret@[::1]/api")
    assert (str(target), target.address, target.is_secure) == ("wss://[::1]/api", ("::1", 443), True)


# Proxies


def relay(connection, host, port):
    with socket.create_connection((host, port)) as far:
        threads = [
            threading.Thread(target=copy, args=pair, daemon=True) for pair in ((connection, far), (far, connection))
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE)


def copy(source, sink):
    try:
        while data := source.recv(65536):
            sink.sendall(data)
    except OSError:
        pass
    finally:
        for end in (source, sink):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


async def test_a_proxy_is_asked_for_the_way(url):
    asked = []

    def talk(connection):
        asked.append(request(connection).split(b"\r\n")[0].decode())
        connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        relay(connection, *Target(url).address)

    with answering(talk) as proxy:
        async with Harness(Target(url, proxy=proxy.replace("ws", "http"))) as ws:
            client = await ws.connect("/")
            await client.send("hi")
            await client.expect("hi")
    assert asked == [f"CONNECT {url[5:]} HTTP/1.1"]


async def test_a_proxy_that_refuses():
    def talk(connection):
        request(connection)
        connection.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")

    with answering(talk) as proxy:
        proxy = proxy.replace("ws", "http")
        sentence = await fails("ws://192.0.2.1", proxy=proxy)
    assert sentence.startswith(f"ws://192.0.2.1 through the proxy {proxy} ")
    assert "proxy rejected connection: HTTP 407" in sentence


async def test_a_proxy_that_is_none():
    assert "isn't a valid proxy" in await fails("ws://192.0.2.1", proxy="gopher://a")


# Where real connections cannot be


def test_trio_has_no_real_connections():
    import trio

    async def main():
        async with Harness("ws://127.0.0.1:1") as ws:
            await ws.connect("/")

    with pytest.raises(UsageError, match="real connections need asyncio; got trio"):
        trio.run(main)


def test_a_simulation_refuses_them():
    async def main():
        async with Harness("ws://127.0.0.1:1") as ws:
            await ws.connect("/")

    with pytest.raises(UnsupportedError):
        run(main)


@pytest.mark.parametrize("options", [{"profile": "hypercorn"}, {"lifespan": "off"}, {"root_path": "/x"}])
def test_what_is_for_an_app_in_this_process_is_refused(options):
    with pytest.raises(UsageError, match="are for an app in this process; leave them out with a URL"):
        Harness("ws://a", **options)


def test_what_is_neither_app_nor_url():
    with pytest.raises(UsageError, match="or a URL such as"):
        Harness(7)
