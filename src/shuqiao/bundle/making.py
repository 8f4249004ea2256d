"""Making a bundle: wheels of the lock for each kind of machine, our own, the list of materials, signature.

Whatever is downloaded is held against the digests of the lock; what comes as source only is built here.
"""

from __future__ import annotations

import json
import platform
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from shuqiao.bundle.lock import Locked, closure, read_lock
from shuqiao.bundle.sbom import Wheel, make_sbom, read_wheel
from shuqiao.bundle.seal import seal
from shuqiao.security.keys import SigningKey

PRODUCT = "shuqiao"
MACHINES = ("x86_64", "aarch64")
_TAGS = ("manylinux2014", "manylinux_2_17", "manylinux_2_28", "manylinux_2_34")
_TIMEOUT_S = 1800
_INSTALL = """\
{product} {version}：前置机安装包，适用于Python {python}（{machines}）

安装前，用平台机构另行交给的公钥核对：
    openssl pkeyutl -verify -pubin -inkey agency.pem -rawin -in SHA256SUMS -sigfile SHA256SUMS.sig
    sha256sum --check --strict SHA256SUMS

不连网络安装：
    python{python} -m venv /opt/shuqiao
    /opt/shuqiao/bin/pip install --no-index --find-links wheels --require-hashes -r requirements.txt
    ln -s /opt/shuqiao/bin/shuqiao /usr/local/bin/shuqiao
    useradd --system --home-dir /var/lib/shuqiao-node --create-home shuqiao-node
    sudo -u shuqiao-node shuqiao node enrol 令牌 --home /var/lib/shuqiao-node

接下来见guides/connect-your-table.md；sbom.cdx.json列出全部部件（CycloneDX）。

{product} {version} for nodes: Python {python} on {machines}

Check before installing, with the public key that the platform agency gave you by another way:
    openssl pkeyutl -verify -pubin -inkey agency.pem -rawin -in SHA256SUMS -sigfile SHA256SUMS.sig
    sha256sum --check --strict SHA256SUMS

Install without a network:
    python{python} -m venv /opt/shuqiao
    /opt/shuqiao/bin/pip install --no-index --find-links wheels --require-hashes -r requirements.txt
    ln -s /opt/shuqiao/bin/shuqiao /usr/local/bin/shuqiao
    useradd --system --home-dir /var/lib/shuqiao-node --create-home shuqiao-node
    sudo -u shuqiao-node shuqiao node enrol TOKEN --home /var/lib/shuqiao-node

What comes next: guides/connect-your-table.md. sbom.cdx.json lists everything in it (CycloneDX).
"""

GUIDES = (
    "connect-your-table.md",
    "encrypt-what-is-stored.md",
    "keep-data-at-home.md",
    "read-from-other-sources.md",
    "receive-changes.md",
)
"""What a department's technician reads, out of `docs/how-to`."""

Say = Callable[[str], None]


class BundleFailed(Exception):
    """The bundle can't be made; the message says why."""


@dataclass(frozen=True)
class Making:
    """What a bundle is made of: a checkout, or a wheel of ours beside its lock."""

    source: Path
    machines: Sequence[str]
    wheel: Path | None
    key: SigningKey


def make_bundle(out: Path, making: Making, say: Say) -> None:
    """Make the folder `out`, which must not be there; what was cut short is begun anew."""
    if out.exists():
        raise BundleFailed(f"{out} is there already")
    # Our wheel is built from within the checkout.
    out = out.absolute()
    draft = out.with_name(out.name + ".new")
    shutil.rmtree(draft, ignore_errors=True)
    wheels = draft / "wheels"
    wheels.mkdir(parents=True)
    needed = node_needs(making.source)
    say(f"{len(needed)} distributions of the lock")
    _collect(needed, wheels, making.machines, draft / "work")
    _own_wheel(making, wheels)
    shutil.rmtree(draft / "work")
    _describe(draft, [read_wheel(path) for path in sorted(wheels.glob("*.whl"))], making.machines)
    _guides(making.source / "docs" / "how-to", draft / "guides")
    seal(draft, making.key)
    draft.rename(out)


def node_needs(source: Path) -> tuple[Locked, ...]:
    """What a node needs out of the lock."""
    try:
        project = tomllib.loads((source / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        locked = read_lock((source / "requirements.lock").read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise BundleFailed(f"{error.filename} is missing: name a checkout with --source") from error
    return closure([*project["dependencies"], *project["optional-dependencies"]["node"]], locked)


def _collect(needed: Sequence[Locked], wheels: Path, machines: Sequence[str], work: Path) -> None:
    """Bring what runs everywhere, built here where it comes as source, then the rest for each machine."""
    built = work / "built"
    _pip(work, needed, "wheel", "--wheel-dir", str(built))
    of_machine = []
    for path in sorted(built.glob("*.whl")):
        if path.name.endswith("-none-any.whl"):
            shutil.move(path, wheels / path.name)
        else:
            name = read_wheel(path).name
            of_machine.append(next(one for one in needed if one.name == name))
    for machine in machines:
        tags = [word for tag in _TAGS for word in ("--platform", f"{tag}_{machine}")]
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        _pip(
            work, of_machine, "download", "--only-binary", ":all:", "--dest", str(wheels), *tags,
            "--python-version", version, "--implementation", "cp",
        )  # fmt: skip


def _pip(work: Path, needed: Sequence[Locked], command: str, *options: str) -> None:
    if not needed:
        return
    work.mkdir(parents=True, exist_ok=True)
    wanted = work / "wanted.txt"
    wanted.write_text("".join(one.line() + "\n" for one in needed), encoding="ascii")
    _run(
        [sys.executable, "-m", "pip", command, "--no-deps", "--require-hashes", "--no-cache-dir", "-q",
         "-r", str(wanted), *options],
        "pip",
    )  # fmt: skip


def _own_wheel(making: Making, wheels: Path) -> None:
    if making.wheel is not None:
        shutil.copy2(making.wheel, wheels / making.wheel.name)
        return
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(wheels)]
    _run(command, "building our wheel", making.source)


def _run(command: list[str], what: str, folder: Path | None = None) -> None:
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False
    )
    if done.returncode:
        raise BundleFailed(f"{what} failed:\n{(done.stdout + done.stderr)[-2000:]}")


def _guides(source: Path, place: Path) -> None:
    """Bring the guides of a checkout: where the bundle goes nobody can look them up."""
    place.mkdir()
    for name in GUIDES:
        if (source / name).exists():
            shutil.copyfile(source / name, place / name)


def _describe(draft: Path, wheels: Sequence[Wheel], machines: Sequence[str]) -> None:
    """Write what to install with its digests, the list of materials and how it is done."""
    own = next(wheel for wheel in wheels if wheel.name == PRODUCT)
    digests: dict[str, list[str]] = {}
    for wheel in wheels:
        name = f"{PRODUCT}[node]" if wheel.name == PRODUCT else wheel.name
        digests.setdefault(f"{name}=={wheel.version}", []).append(f"--hash=sha256:{wheel.sha256}")
    lines = [" ".join((name, *found)) for name, found in sorted(digests.items())]
    (draft / "requirements.txt").write_text("\n".join(lines) + "\n", encoding="ascii")
    materials = make_sbom(wheels, PRODUCT, datetime.now(UTC))
    (draft / "sbom.cdx.json").write_text(json.dumps(materials, indent=1) + "\n", encoding="utf-8")
    words = _INSTALL.format(
        product=PRODUCT,
        version=own.version,
        python=".".join(platform.python_version_tuple()[:2]),
        machines=" and ".join(machines),
    )
    (draft / "INSTALL.txt").write_text(words, encoding="utf-8")
