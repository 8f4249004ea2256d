-- What each node says of itself, and what the office asks of it. States hold counts, times and codes, nothing of a row.

CREATE TABLE exchange.node_state (
    department   text PRIMARY KEY REFERENCES exchange.node (department),
    heard_at     timestamptz NOT NULL,
    silent_since timestamptz,
    state        jsonb NOT NULL CHECK (octet_length(state::text) <= 524288)
);
COMMENT ON TABLE exchange.node_state IS 'The newest state of each node; silent_since is when its silence was noticed.';

CREATE TABLE exchange.node_order (
    department  text NOT NULL REFERENCES exchange.node (department),
    resource_id text NOT NULL REFERENCES exchange.resource (id),
    paused      boolean NOT NULL DEFAULT false,
    reload      bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (department, resource_id)
);
COMMENT ON TABLE exchange.node_order IS 'reload counts the wishes for a full load: a node loads once for each number it has not seen.';

-- Notes which active nodes have not been heard for so long, each silence once, and returns them with when they were heard last.
CREATE FUNCTION exchange.note_silence(p_after interval) RETURNS TABLE (department text, heard_at timestamptz)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
    v_id uuid;
    v_at timestamptz := clock_timestamp();
BEGIN
    FOR department, heard_at IN
        UPDATE exchange.node_state s SET silent_since = v_at FROM exchange.node n
        WHERE n.department = s.department AND n.active AND s.silent_since IS NULL AND s.heard_at < v_at - p_after
        RETURNING s.department, s.heard_at
    LOOP
        v_id := audit.new_id();
        PERFORM audit.append(v_id, v_at, 'node_silent', department, department, 'system:worker', NULL, NULL, NULL, NULL,
            'silent', jsonb_build_object('event', 'node_silent', 'id', v_id, 'at', v_at, 'department', department,
                'provider', department, 'actor', 'system:worker', 'outcome', 'silent', 'heard_at', heard_at)::text);
        RETURN NEXT;
    END LOOP;
END $$;

-- What came and what was given lately is looked at every few seconds by whoever watches the exchange.
CREATE INDEX batch_merged_at ON exchange.batch (merged_at);
CREATE INDEX bulk_job_ready_at ON exchange.bulk_job (ready_at) WHERE subscription IS NOT NULL;

REVOKE ALL ON exchange.node_state, exchange.node_order FROM PUBLIC;
REVOKE ALL ON FUNCTION exchange.note_silence FROM PUBLIC;
GRANT EXECUTE ON FUNCTION exchange.note_silence TO shuqiao_control;
GRANT SELECT ON exchange.node_state, exchange.node_order, exchange.batch_refusal TO shuqiao_control;
GRANT SELECT (department, name, public_key, active) ON exchange.node TO shuqiao_control;
