"""A network that only the workers of one launch are in.

TensorFlow's server listens on all interfaces, and whoever reaches its port can read and write the user's files. On
Linux a process can make a network of its own, with nothing but its own loopback: one process holds it, and each
worker joins it when it starts. Some systems do not let ordinary users do that.
"""

import ctypes
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack

_HOLDER = """
import ctypes, fcntl, os, socket, struct, sys
NEW_USER, NEW_NET, UP, GET_FLAGS, SET_FLAGS = 0x10000000, 0x40000000, 1, 0x8913, 0x8914
unshare = ctypes.CDLL(None).unshare
user, group = os.geteuid(), os.getegid()
if unshare(NEW_NET) != 0:
    if unshare(NEW_USER | NEW_NET) != 0:
        sys.exit(1)
    for name, content in ("setgroups", "deny"), ("uid_map", f"{user} {user} 1"), ("gid_map", f"{group} {group} 1"):
        with open(f"/proc/self/{name}", "w") as file:
            file.write(content)
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
    flags = struct.unpack("16xh", fcntl.ioctl(any_socket, GET_FLAGS, struct.pack("16sh", b"lo", 0))[:18])[0]
    fcntl.ioctl(any_socket, SET_FLAGS, struct.pack("16sh", b"lo", flags | UP))
print("ready", flush=True)
sys.stdin.read()
"""
"""Holds the network for as long as its standard input is open."""


class PrivateNetwork:
    """Ready to be joined; gone after `close` and the end of the last process in it."""

    def __init__(self, holder: "subprocess.Popen[bytes]", namespaces: list[int]) -> None:
        self._holder, self._namespaces = holder, namespaces
        self._set_namespace = ctypes.CDLL(None, use_errno=True).setns

    @classmethod
    def make(cls) -> "PrivateNetwork | None":
        """Nothing where the system does not let this user have one."""
        if sys.platform != "linux":
            return None
        holder = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _HOLDER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # a Ctrl-C is for the launcher
        )
        with ExitStack() as failing:
            failing.callback(_end, holder)
            if holder.stdout is None or holder.stdout.readline() != b"ready\n":
                return None
            try:
                namespaces = [os.open(f"/proc/{holder.pid}/ns/{kind}", os.O_RDONLY) for kind in _kinds(holder.pid)]
            except OSError:
                return None
            failing.pop_all()
        return cls(holder, namespaces)

    @property
    def join(self) -> Callable[[], None]:
        """What a new process calls before it becomes another program."""
        namespaces, set_namespace = self._namespaces, self._set_namespace

        def join() -> None:
            for namespace in namespaces:
                if set_namespace(namespace, 0) != 0:
                    raise OSError(ctypes.get_errno(), "the private network cannot be joined")

        return join

    def close(self) -> None:
        for namespace in self._namespaces:
            os.close(namespace)
        _end(self._holder)


def _kinds(holder: int) -> list[str]:
    """The namespaces to join, in their order: an ordinary user's network belongs to a user namespace."""
    own = os.readlink("/proc/self/ns/user")
    return ["net"] if os.readlink(f"/proc/{holder}/ns/user") == own else ["user", "net"]


def _end(holder: "subprocess.Popen[bytes]") -> None:
    for stream in (holder.stdin, holder.stdout):
        if stream is not None:
            stream.close()
    holder.kill()
    holder.wait()
