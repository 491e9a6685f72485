"""Recordings in, a Parquet file of their rows out."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from prony.errors import MachineError
from prony.recording import Recording
from prony.report.columns import COLUMNS, blocks
from prony.summary import Part


def write(path: Path, recordings: Iterable[Recording], part: Part) -> int:
    """Writes a row for each row, names as dictionaries, what did not happen as null. Returns how many.

    Raises:
        MachineError: pyarrow is not installed.
    """
    try:
        import pyarrow as pa  # noqa: PLC0415 - an extra: large, and wanted here only
        from pyarrow import parquet  # noqa: PLC0415 - the same
    except ImportError as error:
        raise MachineError(
            "--parquet needs pyarrow, which is not installed here.", hint="pip install 'prony[parquet]'"
        ) from error
    types = {
        "text": pa.dictionary(pa.int32(), pa.string()),
        "integer": pa.int64(),
        "seconds": pa.float64(),
    }
    schema = pa.schema([(name, types[column.type]) for name, column in COLUMNS.items()])
    count = 0
    with parquet.ParquetWriter(path, schema) as writer:
        for block in blocks(recordings, part):
            columns = [pa.array(block[field.name], type=field.type) for field in schema]
            writer.write_table(pa.Table.from_arrays(columns, schema=schema))
            count += len(block["trial"])
    return count
