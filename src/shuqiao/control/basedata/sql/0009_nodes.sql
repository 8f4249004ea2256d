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

-- Keeps a node's newest state and answers with the orders in force. The first state after a silence is an entry.
CREATE FUNCTION exchange.hear_node(p_department text, p_state jsonb) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
    v_id uuid := audit.new_id();
    v_at timestamptz := clock_timestamp();
    v_silent timestamptz;
BEGIN
    SELECT s.silent_since INTO v_silent FROM exchange.node_state s WHERE s.department = p_department FOR UPDATE;
    INSERT INTO exchange.node_state AS s (department, heard_at, state) VALUES (p_department, v_at, p_state)
    ON CONFLICT (department) DO UPDATE SET heard_at = v_at, silent_since = NULL, state = p_state;
    IF v_silent IS NOT NULL THEN
        PERFORM audit.append(v_id, v_at, 'node_heard', p_department, p_department, 'node:' || p_department, NULL, NULL, NULL,
            NULL, 'heard', jsonb_build_object('event', 'node_heard', 'id', v_id, 'at', v_at, 'department', p_department,
                'provider', p_department, 'actor', 'node:' || p_department, 'outcome', 'heard', 'silent_since', v_silent)::text);
    END IF;
    RETURN (SELECT jsonb_build_object(
                'paused', coalesce(jsonb_agg(o.resource_id ORDER BY o.resource_id) FILTER (WHERE o.paused), '[]'),
                'reloads', coalesce(jsonb_object_agg(o.resource_id, o.reload) FILTER (WHERE o.reload > 0), '{}'))
            FROM exchange.node_order o WHERE o.department = p_department);
END $$;

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

-- Asks a node to rest, to go on, or to load in full. False where the order changes nothing.
CREATE FUNCTION exchange.order_node(p_department text, p_resource text, p_order text, p_actor text, p_at timestamptz)
RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
    v_id uuid := audit.new_id();
    v_outcome text := CASE p_order WHEN 'pause' THEN 'paused' WHEN 'resume' THEN 'resumed' WHEN 'reload' THEN 'reloaded' END;
BEGIN
    IF v_outcome IS NULL OR NOT EXISTS (SELECT FROM exchange.node n WHERE n.department = p_department)
       OR NOT EXISTS (SELECT FROM exchange.resource r WHERE r.id = p_resource AND r.department = p_department) THEN
        RAISE EXCEPTION 'no such node, resource or order' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    INSERT INTO exchange.node_order AS o (department, resource_id, paused, reload)
    VALUES (p_department, p_resource, p_order = 'pause', (p_order = 'reload')::int)
    ON CONFLICT (department, resource_id) DO UPDATE
        SET paused = CASE p_order WHEN 'pause' THEN true WHEN 'resume' THEN false ELSE o.paused END,
            reload = o.reload + (p_order = 'reload')::int
        WHERE p_order = 'reload' OR o.paused <> (p_order = 'pause');
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    PERFORM audit.append(v_id, p_at, 'node_ordered', p_department, p_department, p_actor, p_resource, NULL, NULL, NULL,
        v_outcome, jsonb_build_object('event', 'node_ordered', 'id', v_id, 'at', p_at, 'department', p_department,
            'provider', p_department, 'actor', p_actor, 'resource', p_resource, 'outcome', v_outcome)::text);
    RETURN true;
END $$;

-- What came and what was given lately is looked at every few seconds by whoever watches the exchange.
CREATE INDEX batch_merged_at ON exchange.batch (merged_at);
CREATE INDEX bulk_job_ready_at ON exchange.bulk_job (ready_at) WHERE subscription IS NOT NULL;

REVOKE ALL ON exchange.node_state, exchange.node_order FROM PUBLIC;
REVOKE ALL ON FUNCTION exchange.hear_node, exchange.note_silence, exchange.order_node FROM PUBLIC;
GRANT EXECUTE ON FUNCTION exchange.hear_node TO shuqiao_loader;
GRANT EXECUTE ON FUNCTION exchange.note_silence, exchange.order_node TO shuqiao_control;
GRANT SELECT ON exchange.node_state, exchange.node_order, exchange.batch_refusal TO shuqiao_control;
GRANT SELECT (department, name, public_key, active) ON exchange.node TO shuqiao_control;
