"""The command `shuqiao bundle`: make a signed bundle of a node, or check one."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import shuqiao
from shuqiao.bundle.making import MACHINES, BundleFailed, Making, make_bundle
from shuqiao.bundle.seal import BundleRefused, check
from shuqiao.security.keys import KeyRefusedError, algorithm_of, key_id, load_signing_key

MAX_KEY_BYTES = 16 * 1024


def bundle_command(arguments: argparse.Namespace) -> int:
    """Make or check; 1 where it isn't what was signed or can't be made, 2 for wrong arguments."""
    out = Path(arguments.folder)
    try:
        if arguments.check:
            return _check(out, arguments.key)
        key = load_signing_key(arguments.key)
        if algorithm_of(key) != "ed25519":
            raise KeyRefusedError(f"{arguments.key} holds no Ed25519 key")
        source = arguments.source or Path(shuqiao.__file__).parents[2]
        make_bundle(out, Making(source, tuple(arguments.machine or MACHINES), arguments.wheel, key), print)
    except (KeyRefusedError, FileNotFoundError) as error:
        print(error, file=sys.stderr)
        return 2
    except (BundleFailed, BundleRefused) as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{out}: made and signed with the key {key_id(key.public_key())}")
    return 0


def _check(folder: Path, key: Path) -> int:
    with key.open("rb") as file:
        number = check(folder, file.read(MAX_KEY_BYTES))
    print(f"{folder}: {number} files are what was signed")
    return 0
