"""Listening sockets of the gate: bound here, or inherited from systemd, so that a restart loses no connection; and
messages to systemd (sd_listen_fds(3), sd_notify(3))."""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sallygate.ports import StoreError

FIRST_FD = 3
"""SD_LISTEN_FDS_START."""


def inherited() -> dict[tuple[str, int], socket.socket]:
    """The TCP sockets systemd listens on for this service, by address and port. Asked once: the variables are taken
    out of the environment, as they are not for child processes."""
    pid, count = os.environ.pop("LISTEN_PID", ""), os.environ.pop("LISTEN_FDS", "")
    os.environ.pop("LISTEN_FDNAMES", None)
    found: dict[tuple[str, int], socket.socket] = {}
    if pid != str(os.getpid()) or not count.isdigit():
        return found
    for number in range(FIRST_FD, FIRST_FD + int(count)):
        os.set_inheritable(number, False)
        given = socket.socket(fileno=number)
        if given.family not in (socket.AF_INET, socket.AF_INET6) or given.type != socket.SOCK_STREAM:
            raise StoreError(f"systemd handed over descriptor {number}, which is no TCP socket; give it ListenStream=")
        name = given.getsockname()
        found[name[0], name[1]] = given
    return found


def listening(
    host: str, port: int, backlog: int, given: dict[tuple[str, int], socket.socket], send_bytes: int = 0
) -> socket.socket:
    """The socket `given` for this address, or a new one. Accepted connections inherit its send buffer, which is
    `send_bytes` when that is not 0. Raises `StoreError` for an address that cannot be had."""
    found = given.pop((host, port), None)
    if found is None:
        found = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            found.bind((host, port))
        except OSError as error:
            found.close()
            raise StoreError(
                f"{host}:{port}: cannot listen there: {error.strerror}; choose another in `listen`"
            ) from None
    if send_bytes:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_bytes)
    found.setblocking(False)
    found.listen(backlog)
    return found


def accept_no_more(inode: int) -> None:
    """Let this process take no further connection from the listening socket of that inode, and leave those that wait to
    any other process that holds it. A server that stops while it accepts drops the connection whose TLS handshake is
    under way; so accepting ends first.

    Granian gives no access to its copies of the socket, so they are looked up among the process's descriptors, and a
    socket that nobody connects to is put in their place: what polls the old one finds nothing to accept.
    """
    if not Path("/proc/self/fd").is_dir():
        return  # not Linux: what is under way at a stop may be cut
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as idle:
        idle.setblocking(False)
        idle.bind(("127.0.0.1", 0))
        idle.listen(1)
        for name in os.listdir("/proc/self/fd"):  # noqa: PTH208 (not paths to be followed)
            with contextlib.suppress(OSError):
                if os.fstat(int(name)).st_ino == inode:
                    os.dup2(idle.fileno(), int(name), inheritable=False)


def none_left(given: dict[tuple[str, int], socket.socket]) -> None:
    """A socket nobody reads from would leave its clients waiting. Raises `StoreError` for one."""
    for host, port in given:
        raise StoreError(f"systemd handed over {host}:{port}, which `listen` does not name; make them agree")


# the control socket, for the commands of this machine ---------------------------------------------------------------


def control_socket(file: Path) -> socket.socket | None:
    """A listening socket at `file`, its owner's alone; None when another process listens there. Raises `OSError`."""
    if connect_control(file) is not None:
        return None
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    with contextlib.suppress(FileNotFoundError):
        file.unlink()  # of a process that was killed
    with _short(file) as name:
        made.bind(name)
    file.chmod(0o600)
    made.setblocking(False)
    made.listen(16)
    return made


def connect_control(file: Path) -> socket.socket | None:
    """A connection to the process that listens at `file`, or None."""
    client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    client.settimeout(5.0)
    try:
        with _short(file) as name:
            client.connect(name)
    except OSError:
        client.close()
        return None
    return client


@contextmanager
def _short(file: Path) -> Iterator[str]:
    """A name for `file` that fits the 107 bytes of a UNIX socket's address, however long its directory's name is."""
    if len(os.fsencode(file)) <= 107 or not Path("/proc/self/fd").is_dir():
        yield str(file)
        return
    directory = os.open(file.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{directory}/{file.name}"
    finally:
        os.close(directory)


# systemd ------------------------------------------------------------------------------------------------------------


def notify(*lines: str) -> None:
    """Send a state to systemd if `NOTIFY_SOCKET` is set. Never raises: a failed message must not end a service that
    works."""
    name = os.environ.get("NOTIFY_SOCKET", "")
    if not name:
        return
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.setblocking(False)
        channel.sendto("\n".join(lines).encode(), "\0" + name[1:] if name.startswith("@") else name)


def notify_reloading() -> None:
    """Send `RELOADING=1` to systemd, with the monotonic time that its protocol asks for (microseconds)."""
    notify("RELOADING=1", f"MONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")


def watchdog_s() -> float | None:
    """How often systemd wants to hear that the loop turns, half of what it waits for; None when it does not."""
    pid, text = os.environ.get("WATCHDOG_PID", str(os.getpid())), os.environ.get("WATCHDOG_USEC", "")
    return int(text) / 2e6 if text.isdigit() and int(text) and pid == str(os.getpid()) else None
