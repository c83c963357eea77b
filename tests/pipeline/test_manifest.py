from __future__ import annotations

import re
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from models.records import UsageError
from pipeline import manifest
from transforms.sources import list_sources
from transforms.storage import Source


def sources(*names: str) -> list[Source]:
    return [Source(name, f"etag of {name}", len(name)) for name in names]


def listed(output: Path) -> dict[int, list[str]]:
    return {
        wave: [
            source.uri
            for group in manifest.read_groups(manifest.wave_uri(str(output), wave))
            for source in group
        ]
        for wave in manifest.waves_of(str(output))
    }


@pytest.mark.parametrize(
    ("wave_files", "expected"),
    [
        pytest.param(2, {0: ["a", "b"], 1: ["c", "d"], 2: ["e"]}, id="cut"),
        pytest.param(5, {0: ["a", "b", "c", "d", "e"]}, id="exactly one"),
        pytest.param(None, {0: ["a", "b", "c", "d", "e"]}, id="all in one"),
        pytest.param(1, {0: ["a"], 1: ["b"], 2: ["c"], 3: ["d"], 4: ["e"]}, id="one each"),
    ],
)
def test_cuts_sources_into_waves(
    tmp_path: Path, wave_files: int | None, expected: dict[int, list[str]]
) -> None:
    counts = manifest.extend(str(tmp_path), sources(*"abcde"), wave_files)
    assert listed(tmp_path) == expected
    assert counts == {wave: len(names) for wave, names in expected.items()}


def test_sources_come_back_as_they_were(tmp_path: Path) -> None:
    given_sources = [Source("a b'\"\n.png", "v1", 7), Source("gs://b/ü", None, None)]
    manifest.extend(str(tmp_path), given_sources, None)
    assert [
        s for group in manifest.read_groups(manifest.wave_uri(str(tmp_path), 0)) for s in group
    ] == given_sources


def test_same_sources_again_add_nothing_whatever_the_wave_size(tmp_path: Path) -> None:
    manifest.extend(str(tmp_path), sources(*"abc"), 2)
    before = listed(tmp_path)
    assert manifest.extend(str(tmp_path), sources(*"cba"), 100) == {0: 2, 1: 1}
    assert listed(tmp_path) == before


def test_new_sources_and_new_versions_become_new_waves(tmp_path: Path) -> None:
    manifest.extend(str(tmp_path), sources("a", "b"), 10)
    changed = Source("a", "another etag", 1)
    counts = manifest.extend(str(tmp_path), [changed, *sources("b", "c")], 10)
    assert counts == {0: 2, 1: 2}
    assert listed(tmp_path)[1] == ["a", "c"]


def test_files_of_waves_that_are_not_done_are_read_as_they_will_be_then(tmp_path: Path) -> None:
    manifest.extend(str(tmp_path), sources("a", "b", "c", "d"), 2)
    changed = [Source(name, "another etag", 1) for name in "abcd"]
    assert manifest.extend(str(tmp_path), changed, 2, done={1: {}}) == {0: 2, 1: 2, 2: 2}
    assert listed(tmp_path)[2] == ["c", "d"]


def test_a_wave_that_is_read_again_leaves_files_to_the_wave_of_their_newer_version(tmp_path: Path) -> None:
    manifest.extend(str(tmp_path), sources("a", "b", "c"), 3)
    now = [Source("a", "another etag", 1), *sources("b", "c")]
    manifest.extend(str(tmp_path), now, 3, done={0: {}})
    assert listed(tmp_path) == {0: ["a", "b", "c"], 1: ["a"]}
    assert manifest.extend(str(tmp_path), now, 3, done={0: {}, 1: {}}) == {0: 3, 1: 1}
    assert manifest.extend(str(tmp_path), now, 3, done={0: {}}) == {0: 3, 1: 1}
    assert manifest.extend(str(tmp_path), now, 3, shard=(1, 2), done={1: {}}) == {1: 1}
    assert listed(tmp_path) == {0: ["a", "b", "c"], 1: ["a"]}
    assert manifest.extend(str(tmp_path), now, 3, done={1: {}}) == {0: 2, 1: 1}
    assert manifest.extend(str(tmp_path), now, 3, done={}) == {0: 2, 1: 1}
    assert listed(tmp_path) == {0: ["b", "c"], 1: ["a"]}


def test_versions_that_were_read_in_place_of_those_listed_are_nothing_new(tmp_path: Path) -> None:
    manifest.extend(str(tmp_path), sources("a", "b"), 2)
    now = [Source("a", "another etag", 1), *sources("b")]
    assert manifest.extend(str(tmp_path), now, 2, done={0: {"a": "another etag"}}) == {0: 2}
    assert manifest.extend(str(tmp_path), [Source("a", "a third one")], 2, done={0: {"a": "x"}}) == {
        0: 2,
        1: 1,
    }


def test_versions_that_were_read_are_found_by_names_without_credentials(tmp_path: Path) -> None:
    url = "https://me:word@host/a.png?sig=word"
    manifest.extend(str(tmp_path), [Source(url, "listed")], 2)
    read = {0: {"https://host/a.png?sig=…": "read"}}
    assert manifest.extend(str(tmp_path), [Source(url, "read")], 2, done=read) == {0: 1}
    assert manifest.extend(str(tmp_path), [Source(url, "newer")], 2, done=read) == {0: 1, 1: 1}


def test_duplicates_are_listed_once(tmp_path: Path) -> None:
    assert manifest.extend(str(tmp_path), sources("a", "b", "a", "a"), 10) == {0: 2}


@pytest.fixture
def scans(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of two files, in `data/`, which is the working folder."""
    scans = tmp_path / "data" / "scans"
    scans.mkdir(parents=True)
    for name in "ab":
        (scans / f"{name}.png").write_text(name)
    (tmp_path / "link").symlink_to(scans)
    monkeypatch.chdir(scans.parent)
    return scans


def given(*names: str) -> list[Source]:
    return list(list_sources(names))


def test_a_folder_is_read_once_however_it_is_named(scans: Path) -> None:
    names = ["scans", "./scans", str(scans), "../link", f"file://{scans}", "../data/scans/*.png"]
    assert [source.uri for source in given(*names)] == ["scans/a.png", "scans/b.png"]
    output = str(scans.parent.parent / "out")
    assert manifest.extend(output, given("scans"), 10) == {0: 2}
    for name in names:
        for done in ({0: {}}, {}):  # whether or not it was read yet
            assert manifest.extend(output, given(name), 10, done=done) == {0: 2}
    (scans / "c.png").touch()
    assert manifest.extend(output, given("../link"), 10, done={0: {}}) == {0: 2, 1: 1}
    assert [source.uri for source in manifest.read_sources(manifest.wave_uri(output, 1))] == ["../link/c.png"]


def test_a_folder_named_from_elsewhere_is_nothing_new_once_it_is_read(
    scans: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = str(scans.parent.parent / "out")
    manifest.extend(output, given("scans"), 10)
    monkeypatch.chdir(scans.parent.parent)
    assert manifest.extend(output, given("data/scans"), 10, done={0: {}}) == {0: 2}
    # From here `scans/a.png` cannot be read any more: the name of today must not be left out.
    assert manifest.extend(output, given("data/scans"), 10, done={}) == {0: 2, 1: 2}


def test_a_name_that_is_listed_is_nothing_new_wherever_it_is_now(
    scans: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = str(tmp_path / "out")
    manifest.extend(output, given("scans"), 10)
    moved = tmp_path / "moved"
    scans.parent.rename(moved)
    monkeypatch.chdir(moved)
    for done in ({0: {}}, {}):
        assert manifest.extend(output, given("scans"), 10, done=done) == {0: 2}


def test_lists_of_earlier_versions_tell_no_folder(scans: Path) -> None:
    output = str(scans.parent.parent / "out")
    manifest.extend(output, given("scans"), 10)
    path = manifest.wave_uri(output, 0)
    pq.write_table(pq.read_table(path).replace_schema_metadata(None), path)
    for name in ("scans", str(scans)):
        assert manifest.extend(output, given(name), 10, done={0: {}}) == {0: 2}


def signed(signature: str, *names: str) -> list[Source]:
    return [Source(f"https://me:{signature}@host/{name}.png?X-Amz-Date={signature}&X-Amz-Signature={signature}")
            for name in names]  # fmt: skip


def test_urls_that_were_signed_anew_are_no_new_files(tmp_path: Path) -> None:
    monday, tuesday = (signed(day, *"abc") for day in ("monday", "tuesday"))
    assert manifest.extend(str(tmp_path), [*monday, *tuesday], 10) == {0: 3}
    assert manifest.extend(str(tmp_path), tuesday, 10, done={0: {}}) == {0: 3}
    assert listed(tmp_path) == {0: [source.uri for source in monday]}  # it has been read


def test_files_that_are_still_to_be_read_are_read_by_the_urls_of_today(tmp_path: Path) -> None:
    manifest.extend(str(tmp_path), [*signed("monday", *"abcd"), *sources("e")], 2)
    today = [*signed("tuesday", *"bdx"), *sources("e")]
    assert manifest.extend(str(tmp_path), today, 2, done={0: {}}) == {0: 2, 1: 2, 2: 1, 3: 1}
    days = {wave: [*map(day_of, names)] for wave, names in listed(tmp_path).items()}
    assert days == {0: ["monday a", "monday b"], 1: ["monday c", "tuesday d"], 2: ["e"], 3: ["tuesday x"]}
    assert manifest.extend(str(tmp_path), signed("friday", "b"), 2, done={1: {}, 2: {}, 3: {}})[0] == 2
    assert [*map(day_of, listed(tmp_path)[0])] == ["monday a", "friday b"]


def day_of(uri: str) -> str:
    return " ".join(re.findall(r"(?<=me:)\w+|\w(?=\.png)", uri)) or uri


@pytest.mark.parametrize("damage", [b"", b"PAR1 and no more", None])
def test_a_damaged_list_is_told(tmp_path: Path, damage: bytes | None) -> None:
    manifest.extend(str(tmp_path), sources("a"), 10)
    path = Path(manifest.wave_uri(str(tmp_path), 0))
    if damage is None:
        pq.write_table(pa.table({"other": [1]}), path)
    else:
        path.write_bytes(damage)
    with pytest.raises(UsageError, match=r"00000\.parquet, a list of files to read, is damaged"):
        manifest.extend(str(tmp_path), sources("a"), 10)


def test_a_run_that_has_lost_its_lock_writes_no_list(tmp_path: Path) -> None:
    def lost() -> None:
        raise UsageError("taken over")

    with pytest.raises(UsageError, match="taken over"):
        manifest.extend(str(tmp_path), sources("a"), 10, check=lost)
    assert not list(tmp_path.iterdir())
    manifest.extend(str(tmp_path), signed("monday", "a"), 10)
    before = listed(tmp_path)
    with pytest.raises(UsageError, match="taken over"):
        manifest.extend(str(tmp_path), signed("tuesday", "a"), 10, done={}, check=lost)
    assert listed(tmp_path) == before


def test_nothing_gives_no_wave(tmp_path: Path) -> None:
    assert manifest.extend(str(tmp_path), [], 10) == {}
    assert manifest.waves_of(str(tmp_path)) == []


def test_copies_of_lists_are_no_waves(tmp_path: Path) -> None:
    manifest.extend(str(tmp_path), sources("a"), None)
    for copy in ("_manifest/backup", "_manifest/_manifest", "_manifest_old"):
        (tmp_path / copy).mkdir()
        (tmp_path / copy / "00007.parquet").write_bytes((tmp_path / "_manifest/00000.parquet").read_bytes())
    assert manifest.waves_of(str(tmp_path)) == [0]


def test_many_sources_stream_in_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manifest, "GROUP_ROWS", 10)
    many = [Source(f"file-{i % 60}", "v", i) for i in range(95)]
    assert manifest.extend(str(tmp_path), many, None) == {0: 60}
    uri = manifest.wave_uri(str(tmp_path), 0)
    assert pq.ParquetFile(uri).metadata.num_row_groups == 6
    assert [len(group) for group in manifest.read_groups(uri)] == [10] * 6


def test_keys_tell_uri_from_etag() -> None:
    keys = manifest._keys([Source("ab", "c"), Source("a", "bc"), Source("ab", "c", 5), Source("ab", None)])
    assert len(set(keys.tolist())) == 3
    assert all(len(key) == 16 for key in keys.tolist())


@pytest.mark.parametrize("wave_files", [2, None])
def test_shards_list_each_file_once_whatever_they_see(tmp_path: Path, wave_files: int | None) -> None:
    names = [f"{number}.png" for number in range(40)]
    for number, seen in enumerate([names, names[:30], names[5:]]):  # files came while they started
        counts = manifest.extend(str(tmp_path), sources(*seen), wave_files, (number, 3))
        assert counts and all(wave % 3 == number for wave in counts)
    before = [name for group in listed(tmp_path).values() for name in group]
    assert len(before) == len(set(before)) > 25
    manifest.extend(str(tmp_path), sources(*names), wave_files)  # without shards: the whole
    after = [name for group in listed(tmp_path).values() for name in group]
    assert sorted(after) == sorted(names)
