"""The way to the machines of the other processes."""

import socket
import struct
from collections.abc import Iterable
from fcntl import ioctl
from typing import Final

#: Of Linux: the address of an interface.
_GET_ADDRESS: Final = 0x8915


def interface_towards(hosts: Iterable[str]) -> str | None:
    """Name of the network interface through which this machine reaches the first of the hosts that it knows.

    gloo would look up this machine's own name, which often means 127.0.1.1, or another machine's address where
    containers share a name; then it listens where nobody else reaches it.

    Args:
        hosts: Names or IPv4 addresses, of other machines.
    """
    for host in hosts:
        try:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
                one.connect((host, 9))  # sends nothing: the kernel chooses the way
                return _interface_of(one.getsockname()[0])
        except OSError:
            continue
    return None


def _interface_of(address: str) -> str | None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        for _, name in socket.if_nameindex():
            try:
                found = ioctl(one.fileno(), _GET_ADDRESS, struct.pack("256s", name.encode()))
            except OSError:  # it has none
                continue
            if socket.inet_ntoa(found[20:24]) == address:
                return name
    return None
