"""Reads Parquet files with pyarrow and DataFusion, for tests that ask line by line.

A request is one line of JSON with `path`, and `columns` or `filters`; the answer is one line of JSON.

columns: names. Of each comes a checksum of its values as text, what the footer says of it in each row group, and, with
    `values`, the values. Pages are checked against their CRC.
filters: each [column, operator, value], of which `=`, `<`, `>` and `null` are operators. Of each come the rows that match:
    counted by pyarrow over the file with its statistics, and over all rows in memory; by DataFusion with statistics and
    page index, and without both. Null stands for a count that failed.
"""

import hashlib
import json
import operator
import struct
import sys

import datafusion
import pyarrow as pa
import pyarrow.dataset as dataset
import pyarrow.parquet as parquet

OPERATORS = {"=": operator.eq, "<": operator.lt, ">": operator.gt}


def as_text(value):
    if value is None:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, str):
        return value.encode().hex()
    if isinstance(value, float):
        return "nan" if value != value else struct.pack(">d", value).hex()
    return str(value)


def plain(column):
    """Times as the integers that they are kept as: Python's own do not reach as far."""
    if pa.types.is_timestamp(column.type):
        return column.cast(pa.int64())
    if pa.types.is_date32(column.type):
        return column.cast(pa.int32())
    return column


def as_scalar(text, kind):
    if pa.types.is_string(kind):
        return pa.scalar(bytes.fromhex(text).decode(), kind)
    if pa.types.is_binary(kind):
        return pa.scalar(bytes.fromhex(text), kind)
    if pa.types.is_boolean(kind):
        return pa.scalar(text == "true", kind)
    if pa.types.is_floating(kind):
        if text == "nan":
            return pa.scalar(float("nan"), kind)
        return pa.scalar(struct.unpack(">d", bytes.fromhex(text))[0], kind)
    if pa.types.is_timestamp(kind):
        return pa.scalar(int(text), pa.int64()).cast(kind)
    if pa.types.is_date32(kind):
        return pa.scalar(int(text), pa.int32()).cast(kind)
    return pa.scalar(int(text), kind)


def footer_of(file, index):
    """What the footer says of a column, by row group."""
    groups = []
    for group in range(file.metadata.num_row_groups):
        chunk = file.metadata.row_group(group).column(index)
        statistics = chunk.statistics
        groups.append(
            {
                "rows": chunk.num_values,
                "nulls": statistics.null_count,
                "hasBounds": statistics.has_min_max,
                "codec": chunk.compression,
                "encodings": list(chunk.encodings),
                "hasColumnIndex": chunk.has_column_index,
                "hasOffsetIndex": chunk.has_offset_index,
            }
        )
    return groups


def read(path, columns, with_values):
    table = parquet.read_table(path, page_checksum_verification=True)
    table.validate(full=True)
    answers = {}
    with parquet.ParquetFile(path) as file:
        for index, name in enumerate(columns):
            values = [as_text(value) for value in plain(table.column(name)).to_pylist()]
            joined = "\n".join("null" if value is None else value for value in values)
            answers[name] = {
                "checksum": hashlib.md5(joined.encode()).hexdigest(),
                "rowGroups": footer_of(file, index),
                **({"values": values} if with_values else {}),
            }
    return answers


def datafusion_context(prunes):
    config = datafusion.SessionConfig()
    for name in ("pruning", "enable_page_index", "pushdown_filters", "reorder_filters", "bloom_filter_on_read"):
        config = config.set(f"datafusion.execution.parquet.{name}", "true" if prunes else "false")
    # From a row group that tells its bounds, DataFusion concludes those of the whole file, also where another tells none.
    config = config.set("datafusion.execution.collect_statistics", "false")
    return datafusion.SessionContext(config.with_target_partitions(1))


PRUNING = datafusion_context(True)
READING_ALL = datafusion_context(False)


def attempt(counting):
    try:
        return counting()
    except BaseException:
        return None


def count(path, filters):
    schema = parquet.read_schema(path)
    table = attempt(lambda: parquet.read_table(path))
    file = dataset.dataset(path)
    answers = []
    for column, name, value in filters:
        ours, theirs = dataset.field(column), datafusion.col(f'"{column}"')
        if name == "null":
            ours, theirs = ours.is_null(), theirs.is_null()
        else:
            scalar = as_scalar(value, schema.field(column).type)
            ours, theirs = OPERATORS[name](ours, scalar), OPERATORS[name](theirs, datafusion.lit(scalar))
        answers.append(
            {
                "pyarrow": attempt(lambda: file.count_rows(filter=ours)),
                "pyarrowInMemory": attempt(lambda: table.filter(ours).num_rows),
                "datafusion": attempt(lambda: PRUNING.read_parquet(path).filter(theirs).count()),
                "datafusionReadingAll": attempt(lambda: READING_ALL.read_parquet(path).filter(theirs).count()),
            }
        )
    return answers


def answer(request):
    if "filters" in request:
        return count(request["path"], request["filters"])
    return read(request["path"], request["columns"], request.get("values", False))


def main():
    for line in sys.stdin:
        try:
            result = {"answer": answer(json.loads(line))}
        except BaseException as error:
            result = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(result), flush=True)


main()
