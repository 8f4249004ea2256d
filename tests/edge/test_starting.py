"""What a process loads when it starts: not what it has no use for, since every start pays for it."""

from __future__ import annotations

import subprocess
import sys

import pytest

LOADED = "import importlib, sys; importlib.import_module(sys.argv[1]); print(*sys.modules)"


@pytest.mark.parametrize(
    ("module", "unwanted"),
    [
        ("shuqiao.edge.main", {"aiohttp", "httpx", "openpyxl"}),
        ("shuqiao.loader.main", {"aiohttp", "httpx"}),
        ("shuqiao.plane.main", {"aiohttp", "httpx"}),
        ("shuqiao.plane.bulk.main", {"aiohttp", "httpx"}),
    ],
)
def test_a_start_loads_no_http_client(module: str, unwanted: set[str]) -> None:
    done = subprocess.run([sys.executable, "-c", LOADED, module], capture_output=True, text=True, check=True)
    assert unwanted.isdisjoint(done.stdout.split())
