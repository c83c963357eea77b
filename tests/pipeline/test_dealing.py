from __future__ import annotations

import multiprocessing
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline import dealing, manifest
from transforms.storage import Source


@pytest.fixture
def wave(tmp_path: Path) -> tuple[str, list[Source]]:
    """A wave of a thousand files of very different sizes, in the order of a listing."""
    chance = random.Random(1)
    sources = [Source(f"{i:04}", None, round(chance.lognormvariate(13, 1.5))) for i in range(1000)]
    manifest.extend(str(tmp_path), sources, None)
    return manifest.wave_uri(str(tmp_path), 0), sources


@pytest.fixture
def turn(monkeypatch: pytest.MonkeyPatch) -> dealing.Turn:
    """The first file's turn, in this process."""
    monkeypatch.setattr(dealing, "_turn", None)
    turn = dealing.Turn()
    dealing.adopt(turn)
    return turn


def by_name(sources: Iterator[Source] | list[Source]) -> list[Source]:
    return sorted(sources, key=lambda source: source.uri)


def test_ordering_loses_and_doubles_nothing(wave: tuple[str, list[Source]]) -> None:
    uri, sources = wave
    assert by_name(dealing.ordered(uri)) == sources
    assert list(manifest.read_sources(uri)) == sources


def test_all_processes_have_one_order(wave: tuple[str, list[Source]]) -> None:
    assert list(dealing.ordered(wave[0])) == list(dealing.ordered(wave[0]))


def test_first_files_are_a_measure_of_the_others_and_the_last_are_small(
    wave: tuple[str, list[Source]],
) -> None:
    sizes = [source.byte_size or 0 for source in dealing.shuffled(wave[1], random.Random(1))]
    first, second, small = sizes[:437], sizes[437:875], sizes[875:]
    assert 0.7 < sum(first) / sum(second) < 1.4
    assert small == sorted(sizes, reverse=True)[875:]


def test_files_of_unknown_size_are_taken_too(tmp_path: Path, turn: dealing.Turn) -> None:
    sources = [Source("a"), Source("b", None, 3), Source("c")]
    manifest.extend(str(tmp_path), sources, None)
    assert by_name(dealing.taken(manifest.wave_uri(str(tmp_path), 0), 2)) == sources


def test_who_is_faster_takes_more(wave: tuple[str, list[Source]], turn: dealing.Turn) -> None:
    uri, sources = wave
    fast, slow = dealing.taken(uri, 2), dealing.taken(uri, 2)
    hands: tuple[list[Source], list[Source]] = ([], [])
    for number in range(len(sources)):
        hand, taking = (hands[1], slow) if number % 10 == 0 else (hands[0], fast)
        hand.append(next(taking))
    assert list(fast) == list(slow) == []
    assert [len(hand) for hand in hands] == [900, 100]
    assert by_name([*hands[0], *hands[1]]) == sources


def test_nothing_is_left_for_who_comes_late(wave: tuple[str, list[Source]], turn: dealing.Turn) -> None:
    assert len(list(dealing.taken(wave[0], 2))) == 1000
    assert list(dealing.taken(wave[0], 2)) == []
    turn.restart()
    assert len(list(dealing.taken(wave[0], 2))) == 1000


def test_at_the_end_nobody_takes_more_than_one(wave: tuple[str, list[Source]], turn: dealing.Turn) -> None:
    spare = [dealing.ahead() for _ in dealing.taken(wave[0], 10)]
    assert spare[0] == 49
    assert spare == sorted(spare, reverse=True)
    assert spare[-20:] == [0] * 20


def test_a_turn_that_a_dead_process_held_is_found_again(turn: dealing.Turn) -> None:
    assert [turn.take(), turn._get()] == [0, 1]  # as who dies then never hands it on
    turn.restart()
    assert turn.take() == 0


def test_where_files_are_at_hand_alone_none_is_taken_ahead() -> None:
    assert dealing.alone() == 0


def take(uri: str, turn: dealing.Turn, found: Any) -> None:
    dealing.adopt(turn)
    found.put([source.uri for source in dealing.taken(uri, 3)])


def test_processes_share_a_wave(wave: tuple[str, list[Source]]) -> None:
    uri, sources = wave
    context = multiprocessing.get_context("spawn")
    turn, found = dealing.Turn(), context.SimpleQueue()
    processes = [context.Process(target=take, args=(uri, turn, found)) for _ in range(3)]
    for process in processes:
        process.start()
    names = [name for _ in processes for name in found.get()]
    for process in processes:
        process.join()
    assert sorted(names) == [source.uri for source in sources]


def test_other_processes_take_nothing(
    wave: tuple[str, list[Source]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dealing, "_turn", None)
    with pytest.raises(RuntimeError, match="worker processes only"):
        next(dealing.taken(wave[0], 2))
