"""Ways in which an engine can really fail on any machine, each the real thing: the kernel's error, the real signal."""

import ctypes
import mmap
import os
import resource
import signal
import socket
import subprocess
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

MIB = 2**20
DEEDS: dict[str, Callable[[Path], object]] = {}
"""By the reason that each must be told with; a second way to the same end has a suffix after a dash."""


def _deed(name: str) -> Callable[[Callable[[Path], object]], Callable[[Path], object]]:
    def register(deed: Callable[[Path], object]) -> Callable[[Path], object]:
        DEEDS[name] = deed
        return deed

    return register


@_deed("out_of_memory_host")
def _allocate_past_the_limit(_: Path) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (512 * MIB, resource.RLIM_INFINITY))
    bytearray(1024 * MIB)


@_deed("disk_full")
def _write_to_a_full_device(_: Path) -> None:
    with open("/dev/full", "wb", buffering=0) as full:
        full.write(b"x")


@_deed("disk_full-limit")
def _write_past_the_file_size_limit(work: Path) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (MIB, resource.RLIM_INFINITY))
    (work / "large").write_bytes(bytes(2 * MIB))


@_deed("disk_full-signal")
def _die_of_the_file_size_limit(work: Path) -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    _write_past_the_file_size_limit(work)


@_deed("too_many_open_files")
def _open_everything(_: Path) -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    while True:
        os.open(os.devnull, os.O_RDONLY)


@_deed("permission_denied")
def _read_what_is_closed(work: Path) -> None:
    closed = work / "closed"
    closed.write_text("x")
    closed.chmod(0)
    owner = os.geteuid()
    if owner == 0:
        os.seteuid(65_534)
    try:
        os.open(closed, os.O_RDONLY)
    finally:
        os.seteuid(owner)


@_deed("engine_crashed")
def _read_address_zero(_: Path) -> None:
    ctypes.string_at(0)


@_deed("engine_crashed-abort")
def _abort(_: Path) -> None:
    os.abort()


@_deed("engine_crashed-bus")
def _read_past_the_end_of_a_mapped_file(work: Path) -> None:
    with (work / "mapped").open("w+b") as file:
        file.truncate(2 * mmap.PAGESIZE)
        mapped = mmap.mmap(file.fileno(), 0)
        file.truncate(0)
        mapped[mmap.PAGESIZE]


@_deed("engine_killed")
def _be_killed(_: Path) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@_deed("engine_killed-shell")
def _end_as_a_shell_would(_: Path) -> None:
    os._exit(128 + signal.SIGTERM)


@_deed("bad_installation")
def _import_what_is_not_there(_: Path) -> None:
    import_module("no_such_library")


@_deed("network_failed")
def _connect_to_nobody(_: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = free.getsockname()
    socket.create_connection(address, timeout=5)


@_deed("timed_out")
def _wait_too_long(_: Path) -> None:
    subprocess.run(["sleep", "60"], timeout=0.05, check=True)


@_deed("storage_failed")
def _read_what_cannot_be_read(_: Path) -> None:
    os.pread(os.open("/proc/self/mem", os.O_RDONLY), 1, 0)


@_deed("engine_exited")
def _go_without_a_word(_: Path) -> None:
    os._exit(7)


@_deed("engine_failed")
def _raise_what_nobody_knows(_: Path) -> None:
    raise RuntimeError("the engine broke")
