"""The plane's city with a NATS server and a department's node that answers calls."""

import asyncio
from dataclasses import dataclass, field
from pathlib import Path

from shuqiao.embedded.nats import nats_command, nats_environment
from shuqiao.loader.enrol import enrol_department
from shuqiao.security import keys
from tests.loader.line import Child, wait_for
from tests.plane import conftest as plane

PROVIDER = "440100-health"


@dataclass
class NodeCity(plane.City):
    """The plane's city with NATS and a node."""

    nats_port: int = 0
    children: dict[str, Child] = field(default_factory=dict)

    @property
    def home(self) -> Path:
        """The node's folder."""
        return self.folder / "node"

    @property
    def secrets(self) -> Path:
        """The hub's secrets."""
        return self.folder / "hub"

    @property
    def nats_url(self) -> str:
        """Where NATS listens."""
        return f"tls://127.0.0.1:{self.nats_port}"

    def environment(self) -> dict[str, str]:
        """Settings of the plane."""
        return super().environment() | {
            "PLANE_NATS_URL": self.nats_url,
            "PLANE_NATS_CREDS": str(self.secrets / "nats-plane.creds"),
            "PLANE_NATS_CA": str(self.secrets / "ca.pem"),
            "PLANE_SPOOL": str(self.folder / "answers"),
        }

    def node_environment(self) -> dict[str, str]:
        """Settings of the node; which source it has is for others to say."""
        return {
            "NODE_HOME": str(self.home),
            "NODE_DEPARTMENT": PROVIDER,
            "NATS_URL": self.nats_url,
            "NODE_CREDS": str(self.home / "node.creds"),
            "NODE_CA": str(self.home / "ca.pem"),
            "NODE_MAPPING": str(self.home / "mappings"),
        }

    def admit_node(self, receipts: keys.SigningKey) -> None:
        """Start NATS and admit the node; `receipts` is the key of the loader."""
        command = nats_command(self.secrets, self.folder / "nats", port=self.nats_port)
        nats = Child("nats", command, nats_environment(self.secrets), self.folder / "nats.log")
        self.children["nats"] = nats
        nats.start()
        wait_for(lambda: "Server is ready" in nats.written(), what="NATS")
        plane.register_key(self, "receipts", receipts)
        admission = enrol_department(
            department=PROVIDER,
            node_home=self.home,
            secrets=self.secrets,
            database_url=self.hub.role("shuqiao_owner"),
            nats_url=self.nats_url,
        )
        asyncio.run(admission)
        (self.home / "mappings").mkdir()

    def start_child(self, name: str, word: str) -> None:
        """Start a process and wait until it says this."""
        child = self.children[name]
        before = len(child.written())
        child.start()
        try:
            wait_for(lambda: word in child.written()[before:], 30, name)
        except AssertionError:
            raise AssertionError(child.written()) from None
