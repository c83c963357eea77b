"""Writing: tables to Parquet files that appear all at once."""

from __future__ import annotations

from collections.abc import Mapping

import apache_beam as beam
from apache_beam.io.parquetio import WriteToParquetBatched

from transforms import storage
from transforms.filesystem import beam_path
from transforms.rows import ERRORS, PAGES, Rows, with_facts


class WriteRows(beam.PTransform):
    """Writes `pages/*.parquet` and `errors/*.parquet`: zstd, statistics, one file for each portion of work.

    Beam's own sink, since it names only those files that a portion's last and successful run has written: a
    runner that repeats one doubles no row. (Beam calls a portion a bundle; here that is a folder of models.)

    Args:
        output: folder or URI.
        name: what the files' names begin with.
        facts: go into each file's metadata.
    """

    def __init__(self, output: str, name: str = "rows", facts: Mapping[str, str] | None = None) -> None:
        super().__init__()
        self._output = output
        self._name = name
        self._facts = dict(facts or {})

    def expand(self, rows: Rows) -> None:
        """Applies the sinks to `ToRows`' two collections."""
        for collection, kind, schema in ((rows[0], "pages", PAGES), (rows[1], "errors", ERRORS)):
            _ = collection | f"Write {kind}" >> WriteToParquetBatched(
                beam_path(storage.join(self._output, kind, self._name)),
                with_facts(schema, self._facts),
                codec="zstd",
                file_name_suffix=".parquet",
                use_compliant_nested_type=True,
            )
