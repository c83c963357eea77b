from __future__ import annotations

import io
import time

import pytest

from models.records import Failure, Page
from pipeline import progress
from pipeline.progress import Progress, State, duration


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0.4, "0 s"),
        (59.4, "59 s"),
        (90, "2 min"),
        (3540, "59 min"),
        (3600, "1 h 00 min"),
        (11100, "3 h 05 min"),
    ],
)
def test_durations_are_said_as_people_do(seconds: float, expected: str) -> None:
    assert duration(seconds) == expected


def test_state_in_a_line() -> None:
    assert (
        str(State(2000, 500, 550, 3, 100.0))
        == "500 of 2,000 files, 550 pages, 3 errors, 5.5 pages/s, 5 min left"
    )
    assert str(State(1, 1, 1, 1, 2.0)) == "1 of 1 file, 1 page, 1 error, 1.0 pages/s, 0 s left"
    assert str(State(10)) == "0 of 10 files, 0 pages, 0 errors, 0.0 pages/s"


@pytest.fixture
def tally() -> progress.Tally:
    tally = progress.tally_in(progress.tally_file())
    progress.adopt(tally)
    yield tally
    progress.adopt(None)


def test_counts_pages_and_errors(tally: progress.Tally) -> None:
    for element in (
        Page("a", 0),
        Page("a", 1),
        Page("b", 0),
        Failure("c", None, "read", "not_found", ""),
        Failure("a", 2, "decode", "truncated", ""),
        Failure("d", 0, "detect", "model_failure", ""),
    ):
        progress.count(element)
    assert tally[:3] == [0, 3, 3]
    assert 10_000 < tally[progress.PEAK] < 100_000_000


def test_the_last_files_that_were_taken_are_known(tally: progress.Tally) -> None:
    for number in range(0, 300, 3):
        progress.take(number)
    assert progress.last_taken(tally, 0) == list(range(300 - 3 * progress.WINDOW, 300, 3))
    assert progress.last_taken(tally, 97) == [291, 294, 297]
    assert progress.last_taken(tally, 100) == []


def test_files_count_by_their_parts(tally: progress.Tally) -> None:
    progress.advance(1.0)
    for _ in range(2500):
        progress.advance(1 / 5000)
    assert tally[:3] == [1_500_000, 0, 0]


def test_time_left_is_told_from_parts_of_files() -> None:
    state = State(20, 0.5, 5000, 0, 600.0)
    assert state.seconds_left == 23_400
    assert str(state) == "0 of 20 files, 5,000 pages, 0 errors, 8.3 pages/s, 6 h 30 min left"


@pytest.mark.parametrize(("total", "least"), [(20, 0.02), (1_000_000, 1.0), (1, 0.001)])
def test_time_left_is_not_told_from_next_to_nothing(total: int, least: float) -> None:
    assert State(total, 0.9 * least, 1, 0, 6.0).seconds_left is None
    assert State(total, least, 1, 0, 6.0).seconds_left is not None


def test_counting_without_a_tally_does_nothing() -> None:
    progress.count(Page())
    progress.advance(1.0)


def test_files_without_a_row_are_not_done_yet(tally: progress.Tally) -> None:
    shown = Progress(29, lambda: [tally], io.StringIO())
    shown.begin(29)
    for _ in range(9):  # taken ahead, while the first is recognised
        progress.advance(1.0)
    assert int(shown.state().files) == 0
    for number in range(4):
        progress.count(Page("a", number))
    assert int(shown.state().files) == 4


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_waves_add_up_and_what_failed_attempts_counted_is_forgotten(tally: progress.Tally) -> None:
    shown = Progress(10, lambda: [tally], io.StringIO())

    def now() -> tuple[int, int, int]:
        state = shown.state()
        return int(state.files), state.pages, state.errors

    shown.begin(4)
    tally[:3] = [3 * progress.FILE, 3, 0]
    assert now() == (3, 3, 0)
    shown.begin(4)  # the worker was killed
    assert now() == (0, 0, 0)
    tally[:3] = [7 * progress.FILE, 6, 1]
    assert now() == (3, 3, 1)  # of four files three, until the wave is done
    shown.end(pages=3, errors=1)
    assert now() == (4, 3, 1)
    shown.begin(6)
    tally[:3] = [9 * progress.FILE, 8, 1]
    assert now() == (6, 5, 1)


def test_lines_appear_while_a_wave_runs(tally: progress.Tally, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "LINE_S", 0.01)
    stream = io.StringIO()
    with Progress(3, lambda: [tally], stream) as shown:
        shown.begin(3)
        tally[:3] = [2 * progress.FILE, 2, 0]
        wait_for(stream, "ppocr-beam: 2 of 3 files, 2 pages")


def test_bar_moves_on_a_terminal(tally: progress.Tally) -> None:
    stream = Terminal()
    with Progress(3, lambda: [tally], stream) as shown:
        shown.begin(3)
        tally[:3] = [1 * progress.FILE, 1, 0]
        wait_for(stream, "1 of 3 files")


def test_nothing_is_shown_where_nobody_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "LINE_S", 0.01)
    stream = io.StringIO()
    with Progress(3, list, stream):
        time.sleep(0.1)
    assert stream.getvalue() == ""


def wait_for(stream: io.StringIO, text: str) -> None:
    deadline = time.monotonic() + 30
    while text not in stream.getvalue():
        assert time.monotonic() < deadline, stream.getvalue()
        time.sleep(0.01)
