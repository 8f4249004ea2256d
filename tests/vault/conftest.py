"""The real vault: its process, its database, its socket."""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey

from shuqiao.security.keys import load_sealing_key
from shuqiao.wire.schemas import ResourceSpec
from shuqiao.wire.vault import Assigned, VaultClient, VaultError

from . import births


@dataclass
class Vault:
    """A vault's home; the process can be started, killed and started again."""

    folder: Path
    url: str
    extra: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None

    @property
    def socket(self) -> Path:
        """Where it listens."""
        return self.folder / "run" / "vault.sock"

    @property
    def log(self) -> Path:
        """What it wrote to standard error."""
        return self.folder / "vault.log"

    def environment(self) -> dict[str, str]:
        """The settings of the process."""
        return os.environ | {
            "VAULT_DATABASE_URL": self.url,
            "VAULT_SOCKET": str(self.socket),
            "VAULT_KEY_FILE": str(self.folder / "secrets" / "vault.key"),
            "VAULT_SEALING_KEY_FILE": str(self.folder / "secrets" / "vault-sealing.pem"),
            "VAULT_CLIENT_KEYS": str(self.folder / "secrets" / "vault-clients"),
            "VAULT_CREATE_KEY": "1",
            **self.extra,
        }

    def start(self) -> None:
        """Start the process and wait until it says that it is ready."""
        with self.log.open("ab") as output:
            position = output.tell()
            self.process = subprocess.Popen(
                [sys.executable, "-m", "shuqiao.vault.main"],
                env=self.environment(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        deadline = time.monotonic() + 90
        while b" ready" not in self.log.read_bytes()[position:]:
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(self.log.read_text())
            time.sleep(0.02)

    def kill(self, number: int = signal.SIGKILL) -> int:
        """End the process by a signal and return its exit status."""
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(timeout=60)

    def key_of(self, client: str) -> bytes:
        """The secret a client shares with the vault."""
        return (self.folder / "secrets" / "vault-clients" / client).read_bytes()

    def client(self, name: str, *, timeout_s: float = 10.0, **options: int) -> VaultClient:
        """A client that connects when first used."""
        return VaultClient(self.socket, name, self.key_of(name), timeout_s=timeout_s, **options)

    def sealing_key(self) -> X25519PublicKey:
        """What nodes seal to."""
        return load_sealing_key(self.folder / "secrets" / "vault-sealing.pem").public_key()

    async def assign(
        self,
        rows: Sequence[births.Row],
        *,
        generation: int = 1,
        sequence: int = 1,
        resource: str = births.RESOURCE,
        spec: ResourceSpec = births.BIRTH,
        department: str = births.DEPARTMENT,
        skip: Sequence[int] = (),
        removed: Sequence[int] = (),
        complete_since: int | None = None,
    ) -> Assigned:
        """Hand over a batch as the loader does."""
        sealed = births.sealed_rows(
            self.sealing_key(),
            rows,
            generation=generation,
            sequence=sequence,
            resource=resource,
            department=department,
            spec=spec,
        )
        client = self.client("loader")
        try:
            return await client.assign(
                resource,
                spec,
                department=department,
                generation=generation,
                sequence=sequence,
                sealed=sealed,
                skip=skip,
                removed=removed,
                complete_since=complete_since,
            )
        finally:
            await client.close()

    async def until_reachable(self, client: VaultClient) -> None:
        """Wait until a client gets through."""
        for _ in range(1200):
            try:
                await client.ready()
            except VaultError:
                await asyncio.sleep(0.05)
            else:
                return
        raise RuntimeError("the vault can't be reached")


@pytest.fixture
def vault_home(vault_url: str) -> Iterator[Vault]:
    """A vault that has not been started yet, in /tmp because a socket's path must be short."""
    folder = Path(tempfile.mkdtemp(prefix="sq-vault-"))
    (folder / "run").mkdir(mode=0o755)
    vault = Vault(folder, vault_url)
    yield vault
    if vault.process is not None and vault.process.poll() is None:
        vault.kill()
    shutil.rmtree(folder)


@pytest.fixture
def vault(vault_home: Vault) -> Vault:
    """A running vault with an empty database of its own."""
    vault_home.start()
    return vault_home
