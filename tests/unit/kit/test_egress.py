"""What the guarded way out refuses before it connects to anything."""

import asyncio
import ipaddress
from collections.abc import Sequence

import pytest

from shared.kit.addresses import is_public
from shared.kit.egress import Egress, EgressRefused, EgressRules, NoAnswer, resolve_name

NOT_PUBLIC = [
    "0.0.0.0", "10.1.2.3", "100.64.0.1", "100.100.100.200", "127.0.0.1", "127.255.0.9", "168.63.129.16",
    "169.254.169.254", "172.31.0.1", "192.0.0.192", "192.0.2.1", "192.88.99.1", "192.168.0.1", "198.18.0.1",
    "198.51.100.7", "203.0.113.9", "224.0.0.1", "239.1.1.1", "240.0.0.1", "255.255.255.255",
    "::", "::1", "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:0:127.0.0.1",
    "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::7f00:1", "100::1", "2001:0:7f00:1::1", "2001:2::1",
    "2001:20::1", "2001:db8::1", "2002:7f00:1::", "2002:808:808::1", "3fff::1", "5f00::1", "fc00::1", "fd00:ec2::254",
    "fe80::1", "fec0::1", "ff02::1", "ff0e::1",
]  # fmt: skip
PUBLIC = ["8.8.8.8", "1.1.1.1", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "64:ff9b::808:808", "::ffff:8.8.8.8"]


@pytest.mark.parametrize("text", NOT_PUBLIC)
def test_an_address_that_strangers_cannot_have_is_not_public(text: str) -> None:
    assert not is_public(ipaddress.ip_address(text))


@pytest.mark.parametrize("text", PUBLIC)
def test_an_address_of_the_internet_is_public(text: str) -> None:
    assert is_public(ipaddress.ip_address(text))


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/", "ftp://example.com/", "file:///etc/passwd", "gopher://example.com/", "//example.com/",
        "example.com", "", "https://", "https:///path", "https://user@example.com/", "https://user:word@example.com/",
        "https://example.com/#part", "https://ok.com\\@127.0.0.1/", "https://exa mple.com/",
        "https://example.com/\r\nX: 1", "https://exämple.com/", "https://example.com:22/", "https://example.com:0/",
        "https://example.com:99999/", "https://[::1/", "https://example.com/" + "a" * 2048,
    ],
)  # fmt: skip
def test_a_url_of_another_form_is_refused(url: str) -> None:
    with pytest.raises(EgressRefused):
        EgressRules().read_url(url)


@pytest.mark.parametrize("port", ["", ":443", ":80", ":1024", ":8443", ":65535"])
def test_a_plain_url_is_taken(port: str) -> None:
    assert EgressRules().read_url(f"https://example.com{port}/hooks?token=1").host == "example.com"


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1", "127.1", "2130706433", "0x7f000001", "0x7f.1", "0177.0.0.1", "017700000001", "localhost", "0",
        "[::1]", "[::ffff:127.0.0.1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "169.254.169.254", "[fe80::1]",
    ],
)  # fmt: skip
def test_every_way_to_write_an_inner_address_is_refused_before_a_connection(host: str) -> None:
    async def call() -> None:
        egress = Egress(EgressRules(allow_http=True))
        try:
            with pytest.raises(EgressRefused):
                await egress.check(f"http://{host}/")
            with pytest.raises(EgressRefused):
                await egress.post(f"http://{host}/", {}, b"")
        finally:
            await egress.close()

    asyncio.run(call())


def _posting(url: str, found: Sequence[str], rules: EgressRules) -> None:
    async def call() -> None:
        egress = Egress(rules, resolve=lambda *_: found)
        try:
            await egress.post(url, {}, b"")
        finally:
            await egress.close()

    asyncio.run(call())


def test_one_inner_address_among_public_ones_is_enough_to_refuse() -> None:
    with pytest.raises(EgressRefused):
        _posting("https://mixed.test/", ["8.8.8.8", "10.0.0.1"], EgressRules())


def test_a_name_without_an_address_gets_no_answer() -> None:
    with pytest.raises(NoAnswer):
        _posting("https://nowhere.test/", [], EgressRules())


def test_the_operator_may_allow_hosts_addresses_and_networks() -> None:
    rules = EgressRules.parse("receiver.internal, 10.1.0.0/16,fd00::/8 , 192.168.0.7")
    assert rules.admits("any.test", ipaddress.ip_address("10.1.255.1"))
    assert rules.admits("any.test", ipaddress.ip_address("::ffff:10.1.255.1"))
    assert rules.admits("any.test", ipaddress.ip_address("fd12::1"))
    assert rules.admits("any.test", ipaddress.ip_address("192.168.0.7"))
    assert rules.admits("Receiver.Internal.", ipaddress.ip_address("172.16.0.1"))
    assert not rules.admits("any.test", ipaddress.ip_address("10.2.0.1"))
    assert not rules.admits("evil-receiver.internal", ipaddress.ip_address("172.16.0.1"))


@pytest.mark.parametrize("text", ["10.1.0.0/33", "10.1.2.3/16", "http://host", "a b", "*.internal"])
def test_an_allowance_that_is_no_host_or_network_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no host, address or network"):
        EgressRules.parse(text)


def test_the_system_resolves_what_connect_would_take() -> None:
    assert resolve_name("127.1", 80) == ["127.0.0.1"]
