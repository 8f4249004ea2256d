"""Loads what libraries import only when first used, while the process may still read its program files.

A vault started by root becomes a user who may not be able to enter the folder of the program (a home of mode
700). Arrow, for one, imports its calendar modules when the first date is read.
"""

import datetime as dt

import pyarrow as pa

from shuqiao.wire.package import decode_part, encode_part
from shuqiao.wire.schemas import ARROW_TYPES

_SAMPLE: dict[str, object] = {
    "string": "x",
    "text": "x",
    "code": "x",
    "date": dt.date(2016, 7, 1),
    "datetime": dt.datetime(2016, 7, 1, tzinfo=dt.UTC),
    "image": b"x",
}


def load_everything() -> None:
    """Send one value of every data type through the format of a batch, as each batch will go later."""
    schema = pa.schema([pa.field(name, kind) for name, kind in ARROW_TYPES.items()])
    columns = [pa.array([_SAMPLE[name], None], schema.field(name).type) for name in ARROW_TYPES]
    part = encode_part(pa.record_batch(columns, schema=schema))
    for column in decode_part(part, schema, 2, "plain").columns:
        column.to_pylist()
