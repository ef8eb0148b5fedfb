"""Which hosts and addresses are this machine, and which are on the public Internet.

A connection is checked by the address that it is made to. The table is our own, because that of
`ipaddress.is_global` changes between versions of Python.
"""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from collections.abc import Mapping
from functools import lru_cache
from typing import TypeAlias

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address

LOCALHOST = "localhost"
LOOPBACK = ("127.0.0.1", "::1")

# Not on the public Internet. Sources, read 2026-11-29:
# https://www.iana.org/assignments/iana-ipv4-special-registry, .../iana-ipv6-special-registry,
# .../multicast-addresses, .../ipv6-address-space. Tunnels (6to4, Teredo) are refused whatever they hold.
_SPECIAL = tuple(
    map(
        ipaddress.ip_network,
        (
            "0.0.0.0/8",  # this network, RFC 791
            "10.0.0.0/8",  # private use, RFC 1918
            "100.64.0.0/10",  # shared by a carrier's customers, RFC 6598
            "127.0.0.0/8",  # loopback, RFC 1122
            "169.254.0.0/16",  # link-local and cloud metadata, RFC 3927
            "172.16.0.0/12",  # private use, RFC 1918
            "192.0.0.0/24",  # protocol assignments, RFC 6890
            "192.0.2.0/24",  # documentation, RFC 5737
            "192.88.99.0/24",  # 6to4 relays, RFC 7526
            "192.168.0.0/16",  # private use, RFC 1918
            "198.18.0.0/15",  # benchmarking, RFC 2544
            "198.51.100.0/24",  # documentation, RFC 5737
            "203.0.113.0/24",  # documentation, RFC 5737
            "224.0.0.0/4",  # multicast, RFC 5771
            "240.0.0.0/4",  # reserved and limited broadcast, RFC 1112
            "2001::/23",  # protocol assignments: Teredo, benchmarking, ORCHID, RFC 2928
            "2001:db8::/32",  # documentation, RFC 3849
            "2002::/16",  # 6to4, RFC 3056
            "3fff::/20",  # documentation, RFC 9637
        ),
    )
)
_GLOBAL_UNICAST = ipaddress.ip_network("2000::/3")  # all other IPv6 is special or not allocated, RFC 4291
_NAT64 = ipaddress.ip_network("64:ff9b::/96")  # holds an IPv4 address, RFC 6052

_PART = re.compile(r"0x[0-9a-f]{0,40}|[0-9]{1,40}")  # of an IPv4 address: hexadecimal, octal, decimal
_DOTS = str.maketrans("\u3002\uff61", "..")  # dots according to IDNA


def is_offline(environ: Mapping[str, str]) -> bool:
    """Return whether the environment allows requests to this machine only."""
    return environ.get("IPYIMAGEGEN_OFFLINE", "0") not in ("", "0")


def parse_address(host: str) -> Address | None:
    """Return the address that a host spells, None for a name.

    Reads full-width characters, trailing dots, zones, and the IPv4 spellings of `inet_aton`: 127.1, 0x7f.1,
    0177.0.0.1, 2130706433.
    """
    text = _normalise(host).strip("[]").partition("%")[0]
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return _parse_ipv4(text)


def _normalise(host: str) -> str:
    return unicodedata.normalize("NFKC", host).translate(_DOTS).rstrip(".").casefold()


def _parse_ipv4(text: str) -> ipaddress.IPv4Address | None:
    parts = text.split(".")
    if len(parts) > 4 or not all(_PART.fullmatch(part) for part in parts):
        return None
    try:
        *leading, last = map(_parse_part, parts)
    except ValueError:  # an 8 or a 9 in an octal number
        return None
    room = 256 ** (4 - len(leading))
    if any(number > 255 for number in leading) or last >= room:
        return None
    value = 0
    for number in leading:
        value = value * 256 + number
    return ipaddress.IPv4Address(value * room + last)


def _parse_part(part: str) -> int:
    if part.startswith("0x"):
        return int(part[2:] or "0", 16)
    return int(part, 8 if part.startswith("0") else 10)


def is_loopback_address(address: str) -> bool:
    """Return whether a numeric address is this machine."""
    ip = parse_address(address)
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped:
        ip = ip.ipv4_mapped
    return ip is not None and ip.is_loopback


@lru_cache(256)  # every endpoint is checked whenever their table is built
def is_loopback_host(host: str) -> bool:
    """Return whether a host stands for this machine: `localhost`, a name below it, or a loopback address.

    A name below `localhost` may resolve to another machine; the connection has to check the address.
    """
    name = _normalise(host)
    return name == LOCALHOST or name.endswith(f".{LOCALHOST}") or is_loopback_address(host)


def is_own_name(host: str, own: str) -> bool:
    """Return whether a server at the host `own` may mean itself by `host`.

    Names of this machine mean the same server, and a server that listens everywhere calls itself 0.0.0.0.
    """
    address = parse_address(host)
    is_any = address is not None and address.is_unspecified
    return is_any or (is_loopback_host(host) and is_loopback_host(own))


def is_public(address: str) -> bool:
    """Return whether a numeric address is on the public Internet, also when it is wrapped in IPv6."""
    ip = parse_address(address)
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped
        if ip in _NAT64:
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if inner is None and ip not in _GLOBAL_UNICAST:
            return False
        ip = inner or ip
    return ip is not None and not any(ip in network for network in _SPECIAL if network.version == ip.version)
