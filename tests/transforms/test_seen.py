from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from transforms.seen import Seen, keys_of


@given(st.lists(st.lists(st.integers(0, 40), max_size=30), max_size=12))
def test_seen_is_a_set(groups: list[list[int]]) -> None:
    seen, oracle = Seen(), set()
    for group in groups:
        keys = np.array([b"%014d." % number for number in group], "S16")
        expected = []
        for number in group:
            expected.append(number not in oracle)
            oracle.add(number)
        assert seen.add(keys).tolist() == expected
        assert seen.holds(keys).all()
    assert sum(len(run) for run in seen._runs) == len(oracle)


def test_keys_differ_and_keep_their_length() -> None:
    keys = keys_of(str(number) for number in range(5000)).tolist()
    assert len(set(keys)) == 5000
    assert {len(key) for key in keys} == {16}
