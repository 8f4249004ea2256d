-- Data that stay with the department: the entries of calls that its node answers, and the comparison of the two logs. The
-- platform has no table of such a resource.

-- Nothing is asked of a node before this entry is durable, under a grant in force. It uses the call's signature up; the call's
-- own entry (p_call) tells later how it ended. `certificate` is that of the key that signed, `node_key` the node's.
CREATE FUNCTION exchange.ask_node(
    p_epoch bigint, p_id uuid, p_call uuid, p_at timestamptz, p_department text, p_actor text, p_grant text, p_resource text,
    p_key text, p_case text, p_body text
) RETURNS TABLE (outcome text, epoch bigint, digest bytea, certificate bytea, node_key bytea)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
#variable_conflict use_column
DECLARE
    v_epoch bigint; v_document jsonb; v_digest bytea; v_provider text;
BEGIN
    SELECT e.value INTO v_epoch FROM exchange.epoch e;
    SELECT g.document::jsonb INTO v_document FROM exchange."grant" g
    WHERE g.id = p_grant AND g.revoked_at IS NULL AND g.suspended_at IS NULL;
    SELECT r.department INTO v_provider FROM exchange.resource r
    WHERE r.id = p_resource AND r.active AND r.spec ->> 'kept' = 'node';
    IF v_epoch <> p_epoch OR v_document IS NULL OR v_provider IS NULL OR v_document ->> 'resource' <> p_resource
       OR v_document ->> 'department' <> p_department
       OR (p_at AT TIME ZONE 'Asia/Shanghai')::date
          NOT BETWEEN (v_document ->> 'valid_from')::date AND (v_document ->> 'valid_until')::date THEN
        RETURN QUERY SELECT 'stale', v_epoch, NULL::bytea, NULL::bytea, NULL::bytea; RETURN;
    END IF;
    IF NOT EXISTS (SELECT FROM audit.entry a WHERE a.id = p_call) THEN
        v_digest := exchange.record_once(p_id, p_at, 'held_asked', p_department, v_provider, p_actor, p_resource, p_grant, p_case,
            'asked', p_body || E'\n' || jsonb_build_object('call', p_call)::text);
    END IF;
    RETURN QUERY SELECT CASE WHEN v_digest IS NULL THEN 'replayed' ELSE 'done' END, v_epoch, v_digest,
        (SELECT k.certificate FROM exchange.application_key k WHERE k.id = p_key),
        (SELECT n.public_key FROM exchange.node n WHERE n.department = v_provider AND n.active);
END $$;

-- How such a call ended; nothing of the answer leaves before this entry is durable. p_event is the mode of an answered call, or
-- that it was refused; p_seen is what the node's signed answer said of itself. An answer is given under the epoch it was decided
-- in only: what was revoked while the node worked is revoked.
CREATE FUNCTION exchange.end_node_call(
    p_epoch bigint, p_id uuid, p_at timestamptz, p_asked uuid, p_event text, p_outcome text, p_body text, p_seen jsonb
) RETURNS TABLE (outcome text, epoch bigint, digest bytea) LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
#variable_conflict use_column
DECLARE
    v_epoch bigint; v_asked audit.entry; v_digest bytea;
BEGIN
    SELECT e.value INTO v_epoch FROM exchange.epoch e;
    SELECT a.* INTO v_asked FROM audit.entry a WHERE a.id = p_asked AND a.event = 'held_asked';
    IF v_asked.id IS NULL OR p_event NOT IN ('verify', 'query', 'call_refused') THEN
        RETURN QUERY SELECT 'gone', v_epoch, NULL::bytea; RETURN;
    END IF;
    IF p_event <> 'call_refused' AND v_epoch <> p_epoch THEN
        RETURN QUERY SELECT 'stale', v_epoch, NULL::bytea; RETURN;
    END IF;
    v_digest := exchange.record_once(p_id, p_at, p_event, v_asked.department, v_asked.provider, v_asked.actor,
        v_asked.resource_id, v_asked.grant_id, v_asked.case_no, p_outcome,
        p_body || E'\n' || (p_seen || jsonb_build_object('outcome', p_outcome, 'provider', v_asked.provider))::text);
    RETURN QUERY SELECT CASE WHEN v_digest IS NULL THEN 'replayed' ELSE 'done' END, v_epoch, v_digest;
END $$;

-- What a node reported of its log, stretch by stretch, and how the platform's own log differs. `missing` are calls that the
-- platform's log has as answered and the node's does not have, `unknown` those that only the node's has, `other` those
-- whose line is not the one that the node named when it answered.
CREATE TABLE exchange.node_report (
    department  text NOT NULL,
    resource_id text NOT NULL,
    since       timestamptz NOT NULL,
    until       timestamptz NOT NULL CHECK (until > since),
    calls       int NOT NULL,
    missing     uuid[] NOT NULL,
    "unknown"   uuid[] NOT NULL,
    other       uuid[] NOT NULL,
    line        bigint NOT NULL,
    head        bytea NOT NULL,
    digest      bytea NOT NULL,
    compared_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (department, resource_id, since)
);

-- Holds a stretch of a node's log against the platform's; the report's signature was checked, p_digest is that of the report.
-- A stretch that comes again, because its acknowledgement was lost, replaces what was found. What a node leaves out between two
-- stretches is looked at with the second: a gap would hide calls. A stretch ends p_margin ago at the latest, twice the
-- clock window and a minute: later calls may still come, and one that ends in another century would be the last.
CREATE FUNCTION exchange.compare_node_log(
    p_department text, p_resource text, p_since timestamptz, p_until timestamptz, p_calls uuid[], p_digests bytea[],
    p_line bigint, p_head bytea, p_digest bytea, p_margin interval DEFAULT '11 minutes'
) RETURNS int LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog SET timezone = 'UTC' AS $$
DECLARE
    v_missing uuid[]; v_unknown uuid[]; v_other uuid[]; v_count int; v_since timestamptz; v_outcome text;
    v_at timestamptz := clock_timestamp(); v_id uuid := audit.new_id();
BEGIN
    IF NOT EXISTS (SELECT FROM exchange.resource r WHERE r.id = p_resource AND r.department = p_department) THEN
        RAISE EXCEPTION '% is no resource of %', p_resource, p_department USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF p_until > v_at - greatest(p_margin, interval '0') OR p_until <= p_since THEN
        RAISE EXCEPTION 'a stretch that ends at % is not over', p_until USING ERRCODE = 'invalid_parameter_value';
    END IF;
    SELECT least(p_since, coalesce(max(r.until), to_timestamp(0))) INTO v_since FROM exchange.node_report r
    WHERE r.department = p_department AND r.resource_id = p_resource AND r.since < p_since;
    WITH logged AS MATERIALIZED (
        SELECT a.id, a.event, a.outcome, split_part(a.body, E'\n', 2)::jsonb AS seen FROM audit.entry a
        WHERE a.provider = p_department AND a.resource_id = p_resource AND a.event IN ('verify', 'query', 'held_asked')
          AND a.occurred_at >= v_since - interval '1 hour' AND a.occurred_at < p_until + interval '1 hour'
          AND a.id >= audit.first_id(v_since) AND a.id < audit.first_id(p_until) AND a.body IS NOT NULL),
    own AS (SELECT l.id, l.seen ->> 'line_digest' AS line FROM logged l WHERE l.outcome = 'answered' AND l.seen ? 'line_digest'),
    theirs AS (SELECT c.id, encode(c.digest, 'hex') AS line FROM unnest(p_calls, p_digests) c(id, digest))
    SELECT (SELECT coalesce(array_agg(o.id ORDER BY o.id), '{}') FROM own o
            WHERE NOT EXISTS (SELECT FROM theirs t WHERE t.id = o.id)),
           (SELECT coalesce(array_agg(t.id ORDER BY t.id), '{}') FROM theirs t
            WHERE NOT EXISTS (SELECT FROM logged l WHERE l.event = 'held_asked' AND (l.seen ->> 'call')::uuid = t.id)),
           (SELECT coalesce(array_agg(o.id ORDER BY o.id), '{}') FROM own o JOIN theirs t USING (id) WHERE t.line <> o.line)
    INTO v_missing, v_unknown, v_other;
    v_count := cardinality(v_missing) + cardinality(v_unknown) + cardinality(v_other);
    v_outcome := CASE v_count WHEN 0 THEN 'agrees' ELSE 'differs' END;
    INSERT INTO exchange.node_report AS r
    VALUES (p_department, p_resource, p_since, p_until, cardinality(p_calls), v_missing, v_unknown, v_other, p_line, p_head,
            p_digest, v_at)
    ON CONFLICT (department, resource_id, since) DO UPDATE SET until = excluded.until, calls = excluded.calls,
        missing = excluded.missing, "unknown" = excluded."unknown", other = excluded.other, line = excluded.line,
        head = excluded.head, digest = excluded.digest, compared_at = excluded.compared_at;
    PERFORM audit.append(v_id, v_at, 'node_log_compared', p_department, p_department, 'node:' || p_department, p_resource, NULL,
        NULL, NULL, v_outcome, jsonb_build_object('event', 'node_log_compared', 'id', v_id, 'at', v_at,
            'department', p_department, 'provider', p_department, 'actor', 'node:' || p_department, 'resource', p_resource,
            'outcome', v_outcome, 'since', p_since, 'until', p_until, 'calls', cardinality(p_calls), 'missing', v_missing,
            'unknown', v_unknown, 'other', v_other, 'line', p_line, 'head', encode(p_head, 'hex'),
            'report', encode(p_digest, 'hex'))::text);
    RETURN v_count;
END $$;

REVOKE ALL ON exchange.node_report FROM PUBLIC;
REVOKE ALL ON FUNCTION exchange.ask_node, exchange.end_node_call, exchange.compare_node_log FROM PUBLIC;
GRANT EXECUTE ON FUNCTION exchange.ask_node, exchange.end_node_call TO shuqiao_plane;
GRANT EXECUTE ON FUNCTION exchange.compare_node_log TO shuqiao_loader;
GRANT SELECT ON exchange.node_report TO shuqiao_control;
