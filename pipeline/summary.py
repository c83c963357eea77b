"""What a run did: a record in `OUT/_runs/`, and the few lines that a person reads at the end."""

from __future__ import annotations

import importlib.metadata
import json
import platform
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass

from pipeline.progress import counted, duration
from pipeline.waves import Marker
from transforms import storage
from transforms.sources import IN_OUTPUTS

_PACKAGES = (
    "ppocr-beam",
    "apache-beam",
    "onnxruntime",
    "openvino",
    "opencv-python-headless",
    "numpy",
    "pyarrow",
    "pillow",
)


@dataclass(frozen=True, slots=True)
class Summary:
    """What a run did.

    Attributes:
        run_id: its name.
        output: where the rows are.
        bundle: name of the bundle.
        bundle_id: its id.
        engine: what ran the models in this run, such as `onnxruntime f32`.
        waves: waves done in this run.
        waves_before: waves that earlier runs had done.
        pages_before: rows in pages/ of those.
        errors_before: rows in errors/ of those.
        retryable: errors, earlier runs' included, of the kinds in `pipeline.waves.RETRYABLE`.
        files: files read in this run.
        pages: rows in pages/ that this run wrote.
        lines: lines of those.
        errors: rows in errors/ that this run wrote, by kind.
        seconds: of this run, from its first wave to its end.
        images_per_second: rows of both kinds, a second.
        seconds_by_stage: spent in each stage, summed over workers.
        peak_megabytes: most memory that each worker had.
        error_rate: share of errors among all rows of the output, earlier runs' included.
        left_out: files of other kinds that the inputs' folders hold, by suffix.
        members_left_out: members of archives that are no images, earlier runs' included.
        changed: files that had changed since they were listed, and were read as they were then.
        kept: pages that could not be read again, so that their earlier rows stay.
        damaged: pages read in this run of which something is missing in their files.
        doubtful: pages read in this run nearly all of whose lines need review.
        versions: of what was used.
    """

    run_id: str
    output: str
    bundle: str
    bundle_id: str
    engine: str
    waves: int
    waves_before: int
    pages_before: int
    errors_before: int
    retryable: int
    files: int
    pages: int
    lines: int
    errors: dict[str, int]
    seconds: float
    images_per_second: float
    seconds_by_stage: dict[str, float]
    peak_megabytes: list[int]
    error_rate: float
    left_out: dict[str, int]
    members_left_out: int
    changed: int
    kept: int
    damaged: int
    doubtful: int
    versions: dict[str, str]

    def __str__(self) -> str:
        """A few lines for a person."""
        errors = sum(self.errors.values())
        kinds = ", ".join(f"{number:,} {kind}" for kind, number in sorted(self.errors.items()))
        if not self.waves:
            waves = "1 wave was" if self.waves_before == 1 else f"all {self.waves_before} waves were"
            work = f"Nothing new to read: {waves} done before."
        else:
            work = (
                f"Read {counted(self.pages, 'page')} with {counted(self.lines, 'line')} "
                f"from {counted(self.files, 'file')} in {duration(self.seconds)} "
                f"({self.pages / max(self.seconds, 0.001):.2f} pages/s; bundle {self.bundle}, {self.engine})."
            )
        lines = [work]
        if self.waves_before:
            rows = f"{counted(self.pages_before, 'page')} and {counted(self.errors_before, 'error')}"
            lines.append(f"Earlier runs: {rows}.")
        if errors:
            lines.append(f"{counted(errors, 'error')}: {kinds}. See {storage.join(self.output, 'errors')}")
        if self.retryable:
            may = f"{counted(self.retryable, 'error')} may be gone by now"
            lines.append(f"{may}: --retry_errors reads their waves again.")
        if self.kept:
            lines.append(f"{counted(self.kept, 'page')} could not be read again: their earlier rows stay.")
        if self.damaged:
            lines.append(
                f"{counted(self.damaged, 'page')} of damaged files: the column damage says what is missing."
            )
        if self.doubtful:
            lines.append(
                f"{counted(self.doubtful, 'page')} can hardly be read: the column doubtful is true there."
            )
        if self.changed:
            lines.append(f"{counted(self.changed, 'file')} had changed since the listing: read as found.")
        others = {suffix: number for suffix, number in self.left_out.items() if suffix != IN_OUTPUTS}
        if others:
            suffixes = ", ".join(f"{number:,} {suffix}" for suffix, number in _most(others, 5))
            lines.append(f"Left out {counted(sum(others.values()), 'file')} of other kinds: {suffixes}.")
        if inside := self.left_out.get(IN_OUTPUTS):
            lines.append(
                f"Left out {counted(inside, 'image')} in folders of outputs: move them to have them read."
            )
        if self.members_left_out:
            lines.append(f"Left out {counted(self.members_left_out, 'member')} of archives: no images.")
        lines.append(f"Rows: {storage.join(self.output, 'pages')}/*.parquet")
        return "\n".join(lines)


def summarize(
    run_id: str,
    output: str,
    engine: str,
    done: Iterable[Marker],
    before: Iterable[Marker],
    seconds: float,
    peaks: Iterable[int],
    left_out: Mapping[str, int],
) -> Summary:
    """Adds up a run.

    Args:
        run_id: its name.
        output: where the rows are.
        engine: what ran the models.
        done: markers of the waves that it did.
        before: markers of the waves that earlier runs did.
        seconds: that it took.
        peaks: most memory of each worker, in kilobytes.
        left_out: see `Summary`.
    """
    done, before = list(done), list(before)
    errors, microseconds = (
        _sum(marker.errors for marker in done),
        _sum(marker.microseconds for marker in done),
    )
    pages, failed = sum(marker.pages for marker in done), sum(errors.values())
    pages_before = sum(marker.pages for marker in before)
    failed_before = sum(sum(marker.errors.values()) for marker in before)
    all_failed = failed + failed_before
    any_marker = (done or before)[0]
    return Summary(
        run_id=run_id,
        output=output,
        bundle=any_marker.bundle,
        bundle_id=any_marker.bundle_id,
        engine=engine,
        waves=len(done),
        waves_before=len(before),
        pages_before=pages_before,
        errors_before=failed_before,
        retryable=sum(marker.retryable for marker in (*done, *before)),
        files=sum(marker.files for marker in done),
        pages=pages,
        lines=sum(marker.lines for marker in done),
        errors=dict(errors),
        seconds=round(seconds, 3),
        images_per_second=round((pages + failed) / seconds, 3) if seconds else 0.0,
        seconds_by_stage={stage: spent / 1_000_000 for stage, spent in sorted(microseconds.items())},
        peak_megabytes=[peak // 1024 for peak in peaks],
        error_rate=all_failed / max(1, all_failed + pages + pages_before),
        left_out=dict(left_out),
        members_left_out=sum(marker.left_out for marker in (*done, *before)),
        changed=sum(len(marker.changed) for marker in done),
        kept=sum(marker.kept for marker in done),
        damaged=sum(marker.damaged for marker in done),
        doubtful=sum(marker.doubtful for marker in done),
        versions=versions(),
    )


def save(summary: Summary) -> None:
    """Writes `OUT/_runs/<run_id>.json`."""
    data = json.dumps(asdict(summary), ensure_ascii=False, indent=1).encode()
    storage.write_atomic(storage.join(summary.output, "_runs", f"{summary.run_id}.json"), data)


def versions() -> dict[str, str]:
    """Of Python and of the packages that do the work."""
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:  # a checkout that is not installed, or another OpenCV
            continue
    return found


def _most(counts: Mapping[str, int], number: int) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:number]


def _sum(counts: Iterable[dict[str, int]]) -> Counter[str]:
    total: Counter[str] = Counter()
    for count in counts:
        total.update(count)
    return total
