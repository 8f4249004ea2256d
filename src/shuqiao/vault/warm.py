"""Loads what libraries import only when first used, while the process may still read its program files.

A vault started by root becomes a user who may not be able to enter the folder of the program (a home of mode
700). Arrow, for one, imports its calendar modules when the first date is read, and the cryptographic library
its engine when the first key is used.
"""

import datetime as dt

import pyarrow as pa
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from shuqiao.security.sealing import open_sealed, seal
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
    """Seal and open one value of every data type in the format of a batch, as each batch will come later."""
    schema = pa.schema([pa.field(name, kind) for name, kind in ARROW_TYPES.items()])
    columns = [pa.array([_SAMPLE[name], None], schema.field(name).type) for name in ARROW_TYPES]
    part = encode_part(pa.record_batch(columns, schema=schema))
    key = X25519PrivateKey.generate()
    opened = open_sealed(key, seal(key.public_key(), part, b""), b"")
    for column in decode_part(opened, schema, 2, "plain").columns:
        column.to_pylist()
