"""A vault that has given up its rights imports nothing more."""

import subprocess
import sys

PROGRAM = """
import sys, asyncio
import shuqiao.vault.main
from shuqiao.vault.warm import load_everything
load_everything()
loaded = set(sys.modules)
import datetime as dt
import pyarrow as pa
from shuqiao.wire.package import decode_part, encode_part
kinds = {"d": pa.date32(), "t": pa.timestamp("us", tz="UTC"), "s": pa.string()}
schema = pa.schema([pa.field(name, kind) for name, kind in kinds.items()])
row = {"d": dt.date(2026, 1, 5), "t": dt.datetime(2026, 1, 5, 8, tzinfo=dt.UTC), "s": "李示例"}
part = encode_part(pa.RecordBatch.from_pylist([row, {"d": None, "t": None, "s": None}], schema=schema))
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from shuqiao.security.sealing import open_sealed, seal
key = X25519PrivateKey.generate()
part = open_sealed(key, seal(key.public_key(), part, b"a"), b"a")
values = [column.to_pylist() for column in decode_part(part, schema, 2, "plain").columns]
assert values[2] == ["李示例", None]
print(sorted(set(sys.modules) - loaded))
"""


def test_reading_a_batch_imports_nothing_new_after_the_warm_up() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stdout + done.stderr
