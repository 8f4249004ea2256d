"""The base table of each list, its history, its staging, and the two functions through which it is read and filled.

Made when a catalogue entry is published. Identity items have no column here: they live in the vault.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from django.db import connection

SQL_TYPES = {
    "string": "text",
    "text": "text",
    "code": "text",
    "date": "date",
    "datetime": "timestamptz",
}
"""Catalogue data type -> column type. Pictures always belong to the vault or to a file and have none."""

_RESOURCE = re.compile(r"r[0-9]{6}[a-z2-7]{10}")
_FIELD = re.compile(r"[a-z][a-z0-9_]{0,58}")


@dataclass(frozen=True)
class PlainColumn:
    """One item that is kept in the base table: its field name and catalogue data type."""

    field: str
    type: str


def create_base_table(resource_id: str, columns: Iterable[PlainColumn]) -> None:
    """Create the tables and functions of a resource; a second call with the same columns changes nothing.

    Raises ValueError for an id or field that is not plain ASCII of the catalogue's form, or an unknown type: both
    become SQL names and are checked here once more.
    """
    if not _RESOURCE.fullmatch(resource_id):
        raise ValueError(f"not a resource id: {resource_id!r}")
    checked = list(columns)
    for column in checked:
        if not _FIELD.fullmatch(column.field) or column.type not in SQL_TYPES:
            raise ValueError(
                f"{resource_id}: item {column.field!r} of type {column.type!r} can have no column"
            )
    with connection.cursor() as cursor:
        for statement in base_table_statements(resource_id, checked):
            cursor.execute(statement)


def base_table_statements(rid: str, columns: list[PlainColumn]) -> list[str]:
    """All DDL of one resource, in order."""
    return [
        *_table_statements(rid, columns),
        _read_function(rid),
        _merge_function(rid, columns),
        *_grants(rid),
    ]


def _table_statements(rid: str, columns: list[PlainColumn]) -> list[str]:
    items = "".join(f', "{c.field}" {SQL_TYPES[c.type]}' for c in columns)
    provenance = (
        "subject_id uuid NOT NULL, identity_version int NOT NULL, version int NOT NULL, source_department text NOT NULL, "
        "source_system text NOT NULL, batch_sequence bigint NOT NULL, first_received_at timestamptz NOT NULL, "
        "received_at timestamptz NOT NULL"
    )
    return [
        f"CREATE TABLE IF NOT EXISTS base.{rid} (record_id uuid PRIMARY KEY, {provenance}{items})",
        f"CREATE TABLE IF NOT EXISTS base_history.{rid} (record_id uuid NOT NULL, {provenance}{items}, "
        "replaced_at timestamptz NOT NULL, PRIMARY KEY (record_id, version))",
        f"CREATE UNLOGGED TABLE IF NOT EXISTS staging.{rid} (record_id uuid NOT NULL, subject_id uuid NOT NULL, "
        f"identity_version int NOT NULL{items})",
    ]


def _read_function(rid: str) -> str:
    """Reads rows and writes the audit entries of a micro-batch in one statement: no record, no data."""
    return f"""
CREATE OR REPLACE FUNCTION exchange.read_{rid}(
    p_epoch bigint, p_id uuid[], p_at timestamptz[], p_event text[], p_department text[], p_actor text[], p_grant text[],
    p_case text[], p_outcome text[], p_record uuid[], p_claims jsonb[], p_body text[]
) RETURNS TABLE (ordinal int, epoch bigint, written boolean, digest bytea, found boolean, version int, matches jsonb, data jsonb)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog SET timezone = 'UTC' AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    WITH seen AS MATERIALIZED (
        SELECT c.*, b.record_id IS NOT NULL AS found, b.version, x.matches, uuid_send(gen_random_uuid()) AS salt,
               CASE WHEN c.event = 'query' THEN to_jsonb(b) END AS data,
               c.body || E'\\n' || jsonb_build_object('found', b.record_id IS NOT NULL, 'record', c.record,
                   'provider', (SELECT r.department FROM exchange.resource r WHERE r.id = '{rid}'), 'version', b.version, 'identity_version', b.identity_version, 'matches', x.matches)::text AS whole
        FROM exchange.epoch e
        CROSS JOIN unnest(p_id, p_at, p_event, p_department, p_actor, p_grant, p_case, p_outcome, p_record, p_claims, p_body)
             WITH ORDINALITY AS c(id, at, event, department, actor, "grant", case_no, outcome, record, claims, body, n)
        LEFT JOIN base.{rid} b ON b.record_id = c.record
        LEFT JOIN LATERAL (
            SELECT jsonb_object_agg(k.key, coalesce(k.value = exchange.written_form(to_jsonb(b) ->> k.key), false)) AS matches
            FROM jsonb_each_text(c.claims) k) x ON c.claims IS NOT NULL
        WHERE e.value = p_epoch),
    entry AS (
        INSERT INTO audit.entry (id, occurred_at, event, department, provider, actor, resource_id, record_id, grant_id,
                                 case_no, outcome, body, salt, digest)
        SELECT id, at, event, department, (SELECT r.department FROM exchange.resource r WHERE r.id = '{rid}'), actor, '{rid}',
               record, "grant", case_no, outcome, whole, salt, sha256(salt || convert_to(whole, 'UTF8'))
        FROM seen ON CONFLICT (id) DO NOTHING RETURNING id, digest),
    queued AS (INSERT INTO audit.pending (entry_id, digest) SELECT id, digest FROM entry)
    SELECT seen.n::int, p_epoch, entry.id IS NOT NULL, entry.digest, seen.found, seen.version, seen.matches, seen.data
    FROM seen LEFT JOIN entry ON entry.id = seen.id;
    IF NOT FOUND THEN
        RETURN QUERY SELECT 0, e.value, false, NULL::bytea, false, NULL::int, NULL::jsonb, NULL::jsonb FROM exchange.epoch e;
    END IF;
END $$"""


def _merge_function(rid: str, columns: list[PlainColumn]) -> str:
    """Merges a staged batch with provenance, history, ledger and audit entry, in the caller's transaction."""
    items = "".join(f', "{c.field}"' for c in columns)
    of_s = "".join(f', s."{c.field}"' for c in columns)
    of_b = "".join(f', b."{c.field}"' for c in columns)
    assign = "".join(f', "{c.field}" = s."{c.field}"' for c in columns)
    return f"""
CREATE OR REPLACE FUNCTION exchange.merge_{rid}(
    p_department text, p_sequence bigint, p_manifest text, p_manifest_digest bytea, p_rejected jsonb, p_source text
) RETURNS TABLE (accepted int, inserted int, updated int, unchanged int)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
#variable_conflict use_column
DECLARE
    v_now timestamptz := clock_timestamp();
    v_id uuid := gen_random_uuid();
    v_accepted int; v_inserted int; v_updated int;
BEGIN
    IF p_department IS DISTINCT FROM (SELECT r.department FROM exchange.resource r WHERE r.id = '{rid}' AND r.active) THEN
        RAISE EXCEPTION 'resource {rid} is not provided by %', p_department USING ERRCODE = 'insufficient_privilege';
    END IF;
    IF p_sequence IS DISTINCT FROM exchange.last_sequence(p_department, '{rid}') + 1 THEN
        RAISE EXCEPTION 'batch % is not the next one of {rid}', p_sequence USING ERRCODE = 'object_not_in_prerequisite_state';
    END IF;
    SELECT count(*) INTO v_accepted FROM staging.{rid};
    WITH replaced AS (
        INSERT INTO base_history.{rid} (record_id, subject_id, identity_version, version, source_department, source_system,
                                        batch_sequence, first_received_at, received_at{items}, replaced_at)
        SELECT b.record_id, b.subject_id, b.identity_version, b.version, b.source_department, b.source_system,
               b.batch_sequence, b.first_received_at, b.received_at{of_b}, v_now
        FROM base.{rid} b JOIN staging.{rid} s USING (record_id)
        WHERE (b.subject_id, b.identity_version{of_b}) IS DISTINCT FROM (s.subject_id, s.identity_version{of_s})
        RETURNING record_id)
    UPDATE base.{rid} b
    SET subject_id = s.subject_id, identity_version = s.identity_version, version = b.version + 1,
        source_department = p_department, source_system = p_source, batch_sequence = p_sequence, received_at = v_now{assign}
    FROM staging.{rid} s JOIN replaced USING (record_id) WHERE b.record_id = s.record_id;
    GET DIAGNOSTICS v_updated = ROW_COUNT;
    INSERT INTO base.{rid} (record_id, subject_id, identity_version, version, source_department, source_system,
                            batch_sequence, first_received_at, received_at{items})
    SELECT s.record_id, s.subject_id, s.identity_version, 1, p_department, p_source, p_sequence, v_now, v_now{of_s}
    FROM staging.{rid} s ON CONFLICT (record_id) DO NOTHING;
    GET DIAGNOSTICS v_inserted = ROW_COUNT;
    DELETE FROM staging.{rid};
    INSERT INTO exchange.batch (department, resource_id, sequence, manifest, manifest_digest, accepted, inserted, updated,
                                unchanged, rejected, merged_at)
    VALUES (p_department, '{rid}', p_sequence, p_manifest, p_manifest_digest, v_accepted, v_inserted, v_updated,
            v_accepted - v_inserted - v_updated, p_rejected, v_now);
    PERFORM audit.append(v_id, v_now, 'batch_merged', p_department, p_department, 'system:loader', '{rid}', NULL, NULL, NULL,
        'merged', jsonb_build_object('event', 'batch_merged', 'id', v_id, 'at', v_now, 'department', p_department,
            'provider', p_department, 'actor', 'system:loader', 'resource', '{rid}', 'outcome', 'merged',
            'sequence', p_sequence,
            'batch_digest', encode(p_manifest_digest, 'hex'), 'accepted', v_accepted, 'inserted', v_inserted,
            'updated', v_updated, 'rejected', jsonb_array_length(p_rejected))::text);
    RETURN QUERY SELECT v_accepted, v_inserted, v_updated, v_accepted - v_inserted - v_updated;
END $$"""


def _grants(rid: str) -> list[str]:
    return [
        f"REVOKE ALL ON FUNCTION exchange.read_{rid}, exchange.merge_{rid} FROM PUBLIC",
        f"GRANT EXECUTE ON FUNCTION exchange.read_{rid} TO shuqiao_plane",
        f"GRANT EXECUTE ON FUNCTION exchange.merge_{rid} TO shuqiao_loader",
        f"GRANT INSERT ON staging.{rid} TO shuqiao_loader",
    ]
