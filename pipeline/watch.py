"""Watching workers while a pipeline runs: which of them get on, and which files they are at if they do not.

All is told by the tallies. Time is counted in looks, not by the clock: the machine may have slept.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pipeline.progress import FILE, PARTS, TAKEN, Tally, last_taken


class Watch:
    """What is known of some workers since a pipeline began.

    Args:
        tallies: the workers', in their order.
        alone: whether each worker has but one file at hand; else any that it took lately may be at fault.
    """

    def __init__(self, tallies: Sequence[Tally], alone: bool) -> None:
        self.places = range(len(tallies))
        self._tallies = tallies
        self._alone = alone
        self._first = self._last = [list(tally) for tally in tallies]
        self._quiet = [0] * len(tallies)

    def look(self) -> None:
        """Looks who has got on since the last look."""
        now = [list(tally) for tally in self._tallies]
        same = [a == b for a, b in zip(now, self._last, strict=True)]
        self._quiet = [looks + 1 if still else 0 for looks, still in zip(self._quiet, same, strict=True)]
        self._last = now

    def quiet(self) -> int:
        """Looks since any worker got on."""
        return min(self._quiet, default=0)

    def busy(self) -> list[int]:
        """The workers, by their place, that have taken files which they are not through with."""
        return [place for place, tally in enumerate(self._tallies) if self._unread(place, tally) > 1]

    def stuck(self, looks: int) -> list[int]:
        """The busy ones that have not got on for more than so many looks."""
        return [place for place in self.busy() if self._quiet[place] > looks]

    def suspects(self, places: Iterable[int]) -> list[int]:
        """The numbers of the files that may be at fault where workers died or are stuck."""
        if self._alone:
            return [last for place in set(places) & {*self.busy()} for last in self._since(place)[-1:]]
        return [number for place in places for number in self._since(place)]

    def taken(self) -> int:
        """How many files, from the first one on, have been taken."""
        return max((number + 1 for place in self.places for number in self._since(place)), default=0)

    def _since(self, place: int) -> list[int]:
        return last_taken(self._tallies[place], self._first[place][TAKEN])

    def _unread(self, place: int, tally: Tally) -> int:
        """Parts of files; rounding may leave one."""
        first = self._first[place]
        return FILE * (tally[TAKEN] - first[TAKEN]) - (tally[PARTS] - first[PARTS])
