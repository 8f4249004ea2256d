"""NATS subjects and names that hub and nodes must agree on."""

from __future__ import annotations

import re

STREAM = "INGEST"
"""The stream of the hub's account that holds batches until the loader has merged them."""

INGEST_ALL = "ingest.>"
RECEIPTS_ALL = "receipts.*.*"
REPORTS_ALL = "reports.*.*"

DEPARTMENT = re.compile(r"[0-9]{6}-[a-z0-9](?:[a-z0-9-]{0,58}[a-z0-9])?")
RESOURCE = re.compile(r"r[0-9]{6}[a-z2-7]{10}")


def check_department(department: str) -> str:
    """Return the code itself; raise ValueError where it could not stand in a subject."""
    if not DEPARTMENT.fullmatch(department):
        raise ValueError("not a department code")
    return department


def check_resource(resource: str) -> str:
    """Return the id itself; raise ValueError where it could not stand in a subject."""
    if not RESOURCE.fullmatch(resource):
        raise ValueError("not a resource id")
    return resource


def ingest_subject(department: str, resource: str) -> str:
    """Return the subject a department publishes batches of a resource to."""
    return f"ingest.{check_department(department)}.{check_resource(resource)}"


def receipts_subject(department: str, resource: str) -> str:
    """Return the subject a department asks for its receipts at."""
    return f"receipts.{check_department(department)}.{check_resource(resource)}"


def parse_subject(subject: str) -> tuple[str, str]:
    """Return department and resource of a subject that a node publishes to; raise ValueError else."""
    parts = subject.split(".")
    if len(parts) != 3 or parts[0] not in ("ingest", "receipts", "reports"):
        raise ValueError("not a subject of a department")
    return check_department(parts[1]), check_resource(parts[2])


def inbox_prefix(department: str) -> str:
    """Return the inbox prefix that only this department may subscribe to."""
    return f"_INBOX_{check_department(department)}"


def consumer_name(department: str) -> str:
    """Return the name of the durable consumer that reads one department's batches in order."""
    return f"loader-{check_department(department)}"
