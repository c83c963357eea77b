"""The lock of an output: two runs that write the same one would double its rows."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading
import time
import uuid
from dataclasses import asdict, dataclass
from types import TracebackType

from models.records import InputError, UsageError
from transforms import storage

BEAT_S = 15.0
STALE_S = 90.0
"""A run whose lock is older than this no longer lives. Runs killed on this machine are noticed at once."""


@dataclass(frozen=True, slots=True)
class Owner:
    """Who holds a lock; `time` is the last sign of life, in seconds since 1970."""

    token: str
    host: str
    pid: int
    time: float


class Lock:
    """Holds an output while in its `with` block.

    A file with the owner's process and time, written again every few seconds: storage everywhere can do that,
    and unlike a lock of the system's, the next run can say who holds it.

    Args:
        output: the job's output.
    """

    def __init__(self, output: str) -> None:
        self._output = output
        self._uri = storage.join(output, "_waves", "lock.json")
        self._token = uuid.uuid4().hex
        self._stop = threading.Event()
        self._beating = threading.Thread(target=self._beat, name="lock", daemon=True)

    def __enter__(self) -> Lock:
        """Takes the lock, a dead run's included.

        Raises:
            UsageError: another run lives, or the output cannot be written.
        """
        try:
            owner = self._owner()
            if owner and owner.token != self._token and lives(owner):
                raise UsageError(
                    f"another run (process {owner.pid} on {owner.host}) is writing {self._output}: "
                    "wait for it, or choose another --output"
                )
            self._write()
            self.check()
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
        owner = Owner(self._token, socket.gethostname(), os.getpid(), time.time())
        storage.write_atomic(self._uri, json.dumps(asdict(owner)).encode())

    def _owner(self) -> Owner | None:
        try:
            return Owner(**json.loads(storage.read(self._uri).data))
        except InputError as error:
            if error.kind == "not_found":
                return None
            raise


def lives(owner: Owner) -> bool:
    """Whether the run that wrote a lock still lives, as far as can be told."""
    if owner.host == socket.gethostname() and not _process_exists(owner.pid):
        return False
    return time.time() - owner.time < STALE_S


def _process_exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
