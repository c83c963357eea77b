"""The lock of an output: two runs that write the same one would double its rows.

Whether the run that holds a lock lives is known at once where its process would be among ours: as long as it
is there, suspended or not. Elsewhere its sign of life is watched until it changes: clocks of machines differ,
and each container has a process 1. A run that only stood still then finds its lock taken: `Lock.check`.
"""

from __future__ import annotations

import contextlib
import functools
import json
import logging
import os
import posixpath
import re
import socket
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType

from models.records import InputError, UsageError
from transforms import storage

BEAT_S = 15.0
STALE_S = 50.0
"""Seconds without a sign of life after which a run is taken for dead."""
LOOK_S = 1.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Owner:
    """Who holds a lock.

    Attributes:
        token: of this one run.
        host: its machine's name.
        space: the machine since its last start, and the process namespace in which `pid` means something.
        pid: its process.
        time: its last sign of life, in seconds since 1970 by its own clock.
        started: when its process began, as its machine counts; empty where that cannot be told. Process ids
            are given out again.
    """

    token: str
    host: str
    space: str
    pid: int
    time: float
    started: str = ""

    @classmethod
    def me(cls, token: str) -> Owner:
        """This process, now."""
        return cls(token, socket.gethostname(), _space(), os.getpid(), time.time(), _started(os.getpid()))


@functools.cache
def _space() -> str:
    """What machines of one name differ in; all Linux hosts have the same first namespace."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
        return f"{boot} {os.readlink('/proc/self/ns/pid')}"
    except OSError:  # no Linux
        return f"{uuid.getnode():012x}"


class Lock:
    """Holds an output while in its `with` block.

    A file with the owner's process and time, written again every few seconds: storage everywhere can do that,
    and unlike a lock of the system's, the next run can say who holds it.

    Args:
        output: the job's output.
        shard: I and N: only runs that are no other of N shards are kept out.
    """

    def __init__(self, output: str, shard: tuple[int, int] | None = None) -> None:
        self._output = output
        self._allied = re.compile(rf"lock-\d+-of-{shard[1]}\.json" if shard else r"(?!)")
        self._name = f"lock-{shard[0]}-of-{shard[1]}.json" if shard else "lock.json"
        self._uri = storage.join(output, "_waves", self._name)
        self._token = uuid.uuid4().hex
        self._stop = threading.Event()
        self._beating = threading.Thread(target=self._beat, name="lock", daemon=True)

    def __enter__(self) -> Lock:
        """Takes the lock, a dead run's included.

        Raises:
            UsageError: another run lives, or the output cannot be written.
        """
        try:
            for uri in [self._uri, *self._others()]:
                self._refuse_if_held(uri)
            self._write()
            self.check()
            if any(self._owner(uri) for uri in self._others()):
                storage.delete(self._uri)
                raise UsageError(f"another run begins to write {self._output} at the same moment: try again")
        except InputError as error:
            raise UsageError(f"the output cannot be written: {error.message}") from None
        self._beating.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Gives the lock back."""
        self._stop.set()
        if self._beating.ident is not None:
            self._beating.join()
        if (owner := self._owner()) and owner.token == self._token:
            storage.delete(self._uri)

    def _others(self) -> list[str]:
        """The locks of runs, living or dead, that may not write while this one does, its own excepted."""
        folder = storage.join(self._output, "_waves")
        listed = (posixpath.basename(source.uri) for source in storage.list_files(f"{folder}/"))
        locks = [name for name in listed if re.fullmatch(r"lock(-\d+-of-\d+)?\.json", name)]
        others = [name for name in locks if name != self._name and not self._allied.fullmatch(name)]
        return [storage.join(folder, name) for name in others]

    def _refuse_if_held(self, uri: str) -> None:
        owner = self._owner(uri)
        if owner and lives(owner, functools.partial(self._owner, uri)):
            still = time.time() - owner.time > STALE_S and _is_here(owner)
            raise UsageError(
                f"another run (process {owner.pid} on {owner.host}) is writing {self._output}"
                f"{', but stands still' if still else ''}: {'end it' if still else 'wait for it'}, "
                "or choose another --output"
            )
        if owner and uri != self._uri:
            storage.delete(uri)

    def check(self) -> None:
        """Makes sure that the lock is still ours.

        Raises:
            UsageError: another run has taken it, at the same moment or because this one had stood still.
        """
        owner = self._owner()
        if owner is None or owner.token != self._token:
            who = f"process {owner.pid} on {owner.host}" if owner else "someone who removed its lock file"
            raise UsageError(f"another run ({who}) has taken over {self._output}")

    def _beat(self) -> None:
        while not self._stop.wait(BEAT_S):
            with contextlib.suppress(InputError):  # storage that is away for a moment; the next beat may do
                owner = self._owner()
                if owner is None or owner.token != self._token:
                    return  # taken over: the run notices at its next check
                self._write()

    def _write(self) -> None:
        storage.write_atomic(self._uri, json.dumps(asdict(Owner.me(self._token))).encode())

    def _owner(self, uri: str = "") -> Owner | None:
        try:
            data = storage.read(uri or self._uri).data
        except InputError as error:
            if error.kind == "not_found":
                return None
            raise
        try:
            return Owner(**json.loads(data))
        except (ValueError, TypeError):  # nobody that could be asked
            return None


def owners(output: str) -> list[Owner]:
    """Who has taken locks of an output and not given them back: runs that go on, or that were killed."""
    lock = Lock(output)
    found = (lock._owner(uri) for uri in [lock._uri, *lock._others()])
    return [owner for owner in found if owner]


def lives(owner: Owner, again: Callable[[], Owner | None]) -> bool:
    """Whether the run that wrote a lock still lives.

    Args:
        owner: what the lock says.
        again: reads the lock again.
    """
    if _is_here(owner):
        return owner.pid != os.getpid() and seems_alive(owner)
    _log.warning(
        "another run (process %d on %s) has a lock; waiting to see if it lives", owner.pid, owner.host
    )
    end = time.monotonic() + STALE_S
    while time.monotonic() < end:
        time.sleep(LOOK_S)
        now = again()
        if now is None or now != owner:
            return now is not None
    return False


def seems_alive(owner: Owner) -> bool:
    """Whether a run lives, without waiting: told from its process here, by the clocks elsewhere."""
    here = _is_here(owner)
    if here and owner.started:  # a process that stands still may go on
        return _started(owner.pid) == owner.started
    return time.time() - owner.time < STALE_S and (not here or _process_exists(owner.pid))


def _is_here(owner: Owner) -> bool:
    """Whether a run's process would be among ours, and its clock is ours."""
    return (owner.host, owner.space) == (socket.gethostname(), _space())


def _started(pid: int) -> str:
    """When a process began, in ticks since the machine's start; empty where it is gone, and outside Linux."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text("ascii", "replace").rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] in "ZX" else fields[19]  # proc(5): a zombie, or dead


def _process_exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
