"""Which hosts are this machine, and which addresses are on the public Internet, in every spelling."""

import pytest

from ipyimagegen.core.hosts import is_loopback_address, is_loopback_host, is_public, parse_address

PUBLIC = [
    "93.184.216.34",
    "8.8.8.8",
    "192.0.1.1",
    "100.128.0.1",
    "172.32.0.1",
    "223.255.255.255",
    "2606:2800:220:1::1",
    "2001:4860:4860::8888",
    "64:ff9b::808:808",
    "::ffff:8.8.8.8",
]
NOT_PUBLIC = [
    "0.0.0.0",
    "0.1.2.3",
    "10.1.2.3",
    "100.64.0.1",
    "100.127.255.255",
    "127.0.0.1",
    "127.255.255.254",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.192",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.1.1",
    "198.18.0.1",
    "198.19.255.255",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::8.8.8.8",
    "::ffff:10.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:0:127.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b::a00:1",
    "64:ff9b:1::808:808",
    "64:ff9b:1:ffff::1",
    "100::1",
    "2001::1",
    "2001:0:7f00:1::",
    "2001:2::1",
    "2001:10::1",
    "2001:20::1",
    "2001:db8::1",
    "2002:7f00:1::",
    "2002:808:808::",
    "3fff::1",
    "4000::1",
    "5f00::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
    "nonsense",
    "",
    "256.1.1.1",
]
LOOPBACK = [
    "localhost",
    "LOCALHOST",
    "localhost.",
    "x.localhost",
    "a.b.localhost.",
    "127.0.0.1",
    "127.1",
    "127.0.1",
    "127.255.0.9",
    "0x7f.1",
    "0X7F.0.0.1",
    "0x7f000001",
    "2130706433",
    "0177.0.0.1",
    "017700000001",
    "127.0.0.1.",
    "１２７.0.0.1",
    "127。0。0。1",
    "ｌｏｃａｌｈｏｓｔ",
    "::1",
    "[::1]",
    "::1%lo",
    "::ffff:127.0.0.1",
    "::ffff:7f00:1",
]
ELSEWHERE = [
    "localhost.example",
    "127.0.0.1.example",
    "xlocalhost",
    "localhost.localdomain",
    "0.0.0.0",
    "0",
    "128.0.0.1",
    "10.0.0.1",
    "0x80.1",
    "0277.0.0.1",
    "2147483649",
    "4294967296",
    "127.0.0.1.1",
    "089.1",
    "0x",
    "::2",
    "64:ff9b::7f00:1",
    "2002:7f00:1::",
    "::127.0.0.1",
    "",
    ".",
    "127.0.0.256",
    "1" * 5000,
]


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses(address):
    assert is_public(address)


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_addresses_that_are_not_public(address):
    assert not is_public(address)


@pytest.mark.parametrize("host", LOOPBACK)
def test_hosts_of_this_machine(host):
    assert is_loopback_host(host)


@pytest.mark.parametrize("host", ELSEWHERE)
def test_hosts_that_are_not_this_machine(host):
    assert not is_loopback_host(host)


@pytest.mark.parametrize("name", ["localhost", "x.localhost", "gpu.example", ""])
def test_a_name_is_no_address(name):
    assert parse_address(name) is None
    assert not is_loopback_address(name)
