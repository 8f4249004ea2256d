"""Three message servers with each batch on all of them: one that dies takes nothing with it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from nats.js.errors import APIError

from shuqiao.embedded.cluster import Member, read_members, write_cluster
from shuqiao.embedded.nats import nats_environment, server_binary
from shuqiao.wire import nats_client
from shuqiao.wire.subjects import STREAM
from tests.loader.line import Line, wait_for
from tests.loader.test_kills import receipted
from tests.loader.test_outages import assert_whole
from tests.plugins.ports import free_port

pytestmark = [pytest.mark.database, pytest.mark.timeout(300)]
STORE_BYTES = 1024**3


@dataclass
class ClusterLine(Line):
    """A line whose messages are carried by three servers."""

    members: list[Member] = field(
        default_factory=lambda: [
            Member(f"nats-{number}", "127.0.0.1", free_port(), free_port()) for number in (1, 2, 3)
        ]
    )

    @property
    def nats_url(self) -> str:
        """All three."""
        return ",".join(f"tls://{one.host}:{one.port}" for one in self.members)

    def _add_servers(self) -> list[str]:
        self.port = self.members[0].port
        folders = write_cluster(self.secrets, self.home / "cluster", self.members, max_bytes=STORE_BYTES)
        for member, folder in zip(self.members, folders, strict=True):
            command = [str(server_binary()), "-c", str(folder / "nats.conf")]
            self._child(member.name, command, nats_environment(self.secrets))
        return [one.name for one in self.members]

    def _loader_environment(self) -> dict[str, str]:
        settings = {"LOADER_STREAM_REPLICAS": "3", "LOADER_STREAM_BYTES": str(STORE_BYTES // 2)}
        return super()._loader_environment() | settings

    async def stream(self) -> Any:
        """What the cluster says of the stream of batches."""
        client = await nats_client.connect(
            self.nats_url, self.secrets / "nats-hub.creds", self.secrets / "ca.pem", name="test"
        )
        try:
            return await client.jetstream().stream_info(STREAM)
        finally:
            await client.close()

    async def leader(self) -> str:
        """The server that leads the stream now."""
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                found = await self.stream()
            except (APIError, TimeoutError):
                continue
            if found.cluster and found.cluster.leader:
                return str(found.cluster.leader)
        raise AssertionError("nobody leads the stream")


@pytest.fixture
def cluster(hub_database: Any, vault_url: str, empty_database: str) -> Iterator[ClusterLine]:
    """A line with three servers, nothing started."""
    made = ClusterLine(hub_database, vault_url, empty_database, node_settings={"NODE_BATCH_ROWS": "40"})
    yield made
    try:
        print(made.logs())
    finally:
        made.close()


async def test_a_cluster_loses_its_leader_without_a_batch(cluster: ClusterLine) -> None:
    rows = await cluster.set_up(people=3000)
    cluster.start("loader", "node")
    wait_for(lambda: cluster.count() >= rows * 0.1, what="part of the load")
    found = await cluster.stream()
    assert found.config.num_replicas == 3 and len(found.cluster.replicas) == 2
    leader = await cluster.leader()
    cluster.children[leader].kill()
    # It goes on with the two that are left, and is not started again.
    wait_for(lambda: cluster.count() == rows and receipted(cluster), 120, what="the whole load")
    assert await cluster.leader() != leader
    assert_whole(cluster, rows)
    for name in ("loader", "node"):
        process = cluster.children[name].process
        assert process is not None and process.poll() is None, f"{name} waited and was not restarted"


def test_members_are_an_odd_number_of_addresses() -> None:
    found = read_members(["10.0.0.1", "nats.example:4300", "10.0.0.3:4300:6300"])
    assert [(one.name, one.port, one.route_port) for one in found] == [
        ("nats-1", 4222, 6222),
        ("nats-2", 4300, 6222),
        ("nats-3", 4300, 6300),
    ]
    for wrong in (["a", "b"], ["a", "b", "c:x"], ["a", "b", "c; evil"]):
        with pytest.raises(ValueError, match=r"cluster has|is not HOST"):
            read_members(wrong)
