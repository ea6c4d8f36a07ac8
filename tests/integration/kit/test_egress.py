"""The guarded way out on real sockets: the address that was checked, the name that was asked for, nothing else."""

import datetime as dt
import http.server
import socket
import ssl
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import anyio
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from shared.kit.egress import Egress, EgressRefused, EgressRules, NoAnswer, Reply, Resolve
from tests.fakes.receiver import serving

INSIDE = EgressRules.parse("127.0.0.1", allow_http=True)


class Listener:
    """An HTTP server on loopback that answers 204, or sends elsewhere, and remembers what it was asked."""

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self.asked: list[dict[str, str]] = []
        self.names: list[str | None] = []
        self.location = ""
        listener = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                listener.asked.append({key.lower(): value for key, value in self.headers.items()})
                self.rfile.read(int(self.headers["content-length"]))
                self.send_response(302 if listener.location else 204)
                if listener.location:
                    self.send_header("location", listener.location)
                self.end_headers()

            def do_GET(self) -> None:
                listener.asked.append({"method": "GET"})
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        if context is not None:
            context.sni_callback = lambda _, name, __: self.names.append(name)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.port = self.server.server_address[1]


@contextmanager
def listening(context: ssl.SSLContext | None = None) -> Iterator[Listener]:
    """A listener that serves meanwhile."""
    listener = Listener(context)
    with serving(listener.server):
        yield listener


def post(url: str, rules: EgressRules, resolve: Resolve, timeout_s: float = 5.0, ca_file: Path | None = None) -> Reply:
    """One request."""

    async def call() -> Reply:
        egress = Egress(rules, timeout_s, ca_file, resolve)
        try:
            return await egress.post(url, {"x-mark": "1"}, b"{}")
        finally:
            await egress.close()

    return anyio.run(call)


def to_loopback(host: str, port: int) -> Sequence[str]:
    del host, port
    return ["127.0.0.1"]


def test_the_name_stays_in_the_host_header_while_the_address_is_pinned() -> None:
    with listening() as listener:
        url = f"http://receiver.test:{listener.port}/hook"
        assert post(url, INSIDE, to_loopback).status == 204
    assert listener.asked[0]["host"] == f"receiver.test:{listener.port}"
    assert listener.asked[0]["x-mark"] == "1"


def test_a_name_that_turns_inward_after_the_check_is_refused_at_the_next_call() -> None:
    answers = iter([["8.8.8.8"], ["127.0.0.1"]])
    asked: list[str] = []

    def rebinding(host: str, _: int) -> Sequence[str]:
        asked.append(host)
        return next(answers)

    async def call(port: int) -> None:
        egress = Egress(EgressRules(allow_http=True), resolve=rebinding)
        try:
            await egress.check(f"http://rebinding.test:{port}/")
            with pytest.raises(EgressRefused):
                await egress.post(f"http://rebinding.test:{port}/", {}, b"")
        finally:
            await egress.close()

    with listening() as listener:
        anyio.run(call, listener.port)
    assert (listener.asked, asked) == ([], ["rebinding.test"] * 2)


def test_a_name_is_looked_up_once_a_call_so_it_cannot_turn_between_check_and_connection() -> None:
    answers = iter([["127.0.0.1"]])
    with listening() as listener:
        assert post(f"http://once.test:{listener.port}/", INSIDE, lambda *_: next(answers)).status == 204


def test_a_name_in_another_script_is_looked_up_as_it_was_written() -> None:
    asked: list[str] = []

    def noted(host: str, _: int) -> Sequence[str]:
        asked.append(host)
        return ["127.0.0.1"]

    with listening() as listener:
        post(f"http://xn--exmple-cua.test:{listener.port}/", INSIDE, noted)
    assert asked == ["xn--exmple-cua.test"]
    assert listener.asked[0]["host"] == f"xn--exmple-cua.test:{listener.port}"


def test_a_name_that_is_looked_up_slowly_keeps_no_other_waiting() -> None:
    released = threading.Event()

    def slow_or_not(host: str, _: int) -> Sequence[str]:
        if host == "slow.test":
            released.wait(30)
        return ["127.0.0.1"]

    async def call(port: int) -> None:
        egress = Egress(INSIDE, 0.3, resolve=slow_or_not)
        try:
            async with anyio.create_task_group() as tasks:
                for _ in range(4):
                    tasks.start_soon(fails, egress, port)
                reply = await egress.post(f"http://quick.test:{port}/", {}, b"{}")
                assert reply.status == 204
        finally:
            released.set()
            await egress.close()

    async def fails(egress: Egress, port: int) -> None:
        with pytest.raises(NoAnswer, match="within"):
            await egress.post(f"http://slow.test:{port}/", {}, b"{}")

    with listening() as listener:
        anyio.run(call, listener.port)


def test_a_redirect_is_an_answer_and_is_not_followed() -> None:
    with listening() as listener, listening() as inner:
        listener.location = f"http://127.0.0.1:{inner.port}/"
        assert post(f"http://receiver.test:{listener.port}/", INSIDE, to_loopback).status == 302
    assert inner.asked == []


def test_a_proxy_in_the_environment_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    with listening() as listener, listening() as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        post(f"http://receiver.test:{listener.port}/", INSIDE, to_loopback)
    assert (len(listener.asked), proxy.asked) == (1, [])


def test_the_next_address_is_tried_when_one_does_not_connect() -> None:
    rules = EgressRules.parse("127.0.0.0/8", allow_http=True)
    with listening() as listener:
        answer = post(f"http://two.test:{listener.port}/", rules, lambda *_: ["127.0.0.2", "127.0.0.1"])
    assert answer.status == 204


@pytest.fixture
def hanging() -> Iterator[int]:
    """A port whose owner takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_a_receiver_that_hangs_is_left_after_the_time_for_everything(hanging: int) -> None:
    with pytest.raises(NoAnswer, match=r"within 0\.2 s"):
        post(f"http://slow.test:{hanging}/", INSIDE, to_loopback, timeout_s=0.2)


def test_an_answer_that_drips_is_left_after_the_time_for_everything() -> None:
    stopped = threading.Event()

    def drip(server: socket.socket) -> None:
        taken, _ = server.accept()
        with taken:
            taken.sendall(b"HTTP/1.1 200 OK\r\n")
            while not stopped.wait(0.05):
                try:
                    taken.sendall(b"x-more: 1\r\n")
                except OSError:
                    return

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=drip, args=(server,))
        thread.start()
        with ExitStack() as stack:
            stack.callback(thread.join)
            stack.callback(stopped.set)
            with pytest.raises(NoAnswer, match=r"within 0\.4 s"):
                post(f"http://drip.test:{server.getsockname()[1]}/", INSIDE, to_loopback, timeout_s=0.4)


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A file with the key and the certificate of `receiver.test`, its own authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "receiver.test")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("receiver.test")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path / "receiver.pem"
    plain = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file.write_bytes(plain + made.public_bytes(serialization.Encoding.PEM))
    return file


@pytest.fixture
def secure(certificate: Path) -> Iterator[Listener]:
    """A receiver with TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with listening(context) as listener:
        yield listener


def test_the_certificate_is_checked_against_the_name_not_the_address(secure: Listener, certificate: Path) -> None:
    rules = EgressRules.parse("127.0.0.1")
    answer = post(f"https://receiver.test:{secure.port}/", rules, to_loopback, ca_file=certificate)
    assert (answer.status, secure.names) == (204, ["receiver.test"])


def test_a_certificate_for_another_name_is_not_good(secure: Listener, certificate: Path) -> None:
    rules = EgressRules.parse("127.0.0.1")
    with pytest.raises(NoAnswer, match="certificate"):
        post(f"https://other.test:{secure.port}/", rules, to_loopback, ca_file=certificate)
    assert secure.asked == []


def test_a_certificate_of_an_unknown_authority_is_not_good(secure: Listener) -> None:
    with pytest.raises(NoAnswer, match="certificate"):
        post(f"https://receiver.test:{secure.port}/", EgressRules.parse("127.0.0.1"), to_loopback)
