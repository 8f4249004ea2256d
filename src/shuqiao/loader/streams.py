"""The stream of batches and its consumers, made where they are missing."""

from __future__ import annotations

from contextlib import suppress

from shuqiao.wire.nats_library import JetStreamContext, NotFoundError, api
from shuqiao.wire.package import MAX_MESSAGE_BYTES
from shuqiao.wire.subjects import INGEST_ALL, STREAM, consumer_name

MAX_WAITING = 512
"""Batches that may wait for one department's resource: one node can't take the whole stream."""

_ACK_WAIT_S = 10
_IN_HAND = 32
"""Batches that were fetched and neither taken nor refused: with fewer, some that came too early would hold up
the one they wait for until they are given up."""


async def ensure_stream(stream: JetStreamContext, max_bytes: int, replicas: int = 1) -> None:
    """Make the stream, or bring the one that is there to this configuration.

    A message leaves it when it is acknowledged; where it is full, new ones are refused and stay with their
    nodes. It keeps no window against duplicates: the ledger of batches knows them for ever. In a cluster a
    message is acknowledged when a majority of its `replicas` have it; consumers are as many times there.
    """
    config = api.StreamConfig(
        name=STREAM,
        subjects=[INGEST_ALL],
        retention=api.RetentionPolicy.WORK_QUEUE,
        storage=api.StorageType.FILE,
        discard=api.DiscardPolicy.NEW,
        max_bytes=max_bytes,
        max_msg_size=MAX_MESSAGE_BYTES,
        max_msgs_per_subject=MAX_WAITING,
        discard_new_per_subject=True,
        num_replicas=replicas,
    )
    try:
        await stream.stream_info(STREAM)
    except NotFoundError:
        await stream.add_stream(config)
    else:
        await stream.update_stream(config)


async def ensure_consumer(stream: JetStreamContext, department: str) -> None:
    """Make one department's durable consumer anew: every message not acknowledged comes again, in order."""
    name = consumer_name(department)
    with suppress(NotFoundError):
        await stream.delete_consumer(STREAM, name)
    await stream.add_consumer(
        STREAM,
        api.ConsumerConfig(
            durable_name=name,
            filter_subject=f"ingest.{department}.*",
            ack_policy=api.AckPolicy.EXPLICIT,
            ack_wait=_ACK_WAIT_S,
            max_ack_pending=_IN_HAND,
        ),
    )
