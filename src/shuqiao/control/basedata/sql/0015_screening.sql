-- What is looked for in the values of every batch (decision 46): the office's rules, each version kept with who set it and why,
-- and the entries about rows that were held back or released. No value is written here, and no key but by its pseudonym.

CREATE TABLE exchange.screening (
    version bigint PRIMARY KEY CHECK (version > 0),
    rules   jsonb NOT NULL CHECK (octet_length(rules::text) <= 65536),
    set_by  text NOT NULL CHECK (length(set_by) BETWEEN 1 AND 150),
    set_at  timestamptz NOT NULL,
    reason  text NOT NULL CHECK (length(reason) BETWEEN 1 AND 200)
);
COMMENT ON TABLE exchange.screening IS 'The rules of screening; the highest version is in force. Without one those that are shipped are.';

-- Puts rules into force as the next version. Null where another version came first.
CREATE FUNCTION exchange.set_screening(p_after bigint, p_rules jsonb, p_by text, p_reason text, p_at timestamptz) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
    v_entry uuid := audit.new_id();
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('exchange.screening'));
    IF p_after IS DISTINCT FROM (SELECT coalesce(max(s.version), 0) FROM exchange.screening s) THEN
        RETURN NULL;
    END IF;
    INSERT INTO exchange.screening (version, rules, set_by, set_at, reason)
    VALUES (p_after + 1, jsonb_build_object('version', p_after + 1, 'rules', p_rules), p_by, p_at, p_reason);
    PERFORM audit.append(v_entry, p_at, 'screening_set', NULL, NULL, 'account:' || p_by, NULL, NULL, NULL, NULL, 'set',
        jsonb_build_object('event', 'screening_set', 'id', v_entry, 'at', p_at, 'actor', 'account:' || p_by, 'outcome', 'set',
            'screening_version', p_after + 1, 'reason', p_reason,
            'screening_rules', (SELECT coalesce(jsonb_object_agg(r ->> 'key', r ->> 'action'), '{}') FROM jsonb_array_elements(p_rules) r))::text);
    RETURN p_after + 1;
END $$;

CREATE FUNCTION exchange.screening_rules() RETURNS text LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog AS $$
    SELECT s.rules::text FROM exchange.screening s ORDER BY s.version DESC LIMIT 1
$$;

-- Entries about a batch: rows its node held back, rows that were caught at the hub, rows that somebody released and why.
CREATE FUNCTION exchange.note_screened(p_department text, p_resource text, p_sequence bigint, p_told jsonb) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
    v_kind text;
    v_entry uuid;
    v_at timestamptz := clock_timestamp();
    v_actor text;
    v_released boolean;
    v_caught boolean;
BEGIN
    FOREACH v_kind IN ARRAY ARRAY['held', 'caught', 'released'] LOOP
        CONTINUE WHEN jsonb_array_length(coalesce(p_told -> v_kind, '[]')) = 0;
        v_entry := audit.new_id();
        v_released := v_kind = 'released';
        v_caught := v_kind = 'caught';
        v_actor := CASE WHEN v_caught THEN 'system:loader' ELSE 'node:' || p_department END;
        PERFORM audit.append(v_entry, v_at, CASE WHEN v_released THEN 'rows_released' ELSE 'rows_held' END,
            p_department, p_department, v_actor, p_resource, NULL, NULL, NULL,
            CASE WHEN v_released THEN 'released' WHEN v_caught THEN 'refused' ELSE 'held' END,
            jsonb_build_object('event', CASE WHEN v_released THEN 'rows_released' ELSE 'rows_held' END,
                'id', v_entry, 'at', v_at, 'department', p_department, 'provider', p_department,
                'actor', v_actor, 'resource', p_resource, 'outcome', CASE WHEN v_released THEN 'released' WHEN v_caught THEN 'refused' ELSE 'held' END,
                'sequence', p_sequence,
                'screened_rows', (SELECT count(DISTINCT coalesce(r ->> 'mark', r ->> 'row')) FROM jsonb_array_elements(p_told -> v_kind) r),
                'screened', (SELECT jsonb_agg(r) FROM (SELECT r FROM jsonb_array_elements(p_told -> v_kind) WITH ORDINALITY a(r, n)
                                                       ORDER BY n LIMIT 50) listed))::text);
    END LOOP;
END $$;

-- Which column of which table each item comes from, told by nodes for the version of a mapping, for who signs its reviews.
CREATE TABLE exchange.mapping (
    department  text NOT NULL REFERENCES exchange.node (department),
    resource_id text NOT NULL REFERENCES exchange.resource (id),
    version     text NOT NULL CHECK (length(version) BETWEEN 1 AND 64),
    columns     jsonb NOT NULL CHECK (octet_length(columns::text) <= 131072),
    told_at     timestamptz NOT NULL,
    PRIMARY KEY (department, resource_id, version)
);
COMMENT ON TABLE exchange.mapping IS 'Names of tables and columns only; what a node told once for a version stays.';

-- Keeps what a node tells of its mappings, the newest hundred versions of each, and says which it is still to tell.
CREATE FUNCTION exchange.hear_mappings(p_department text, p_used jsonb, p_told jsonb) RETURNS text[]
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
    v_resource text;
BEGIN
    FOR v_resource IN
        INSERT INTO exchange.mapping (department, resource_id, version, columns, told_at)
        SELECT p_department, r.id, p_used ->> r.id, t.value, clock_timestamp()
        FROM jsonb_each(p_told) t JOIN exchange.resource r ON r.id = t.key AND r.department = p_department
        WHERE coalesce(p_used ->> r.id, '') <> ''
        ON CONFLICT DO NOTHING RETURNING resource_id
    LOOP
        DELETE FROM exchange.mapping m WHERE m.department = p_department AND m.resource_id = v_resource AND m.version IN (
            SELECT o.version FROM exchange.mapping o WHERE o.department = p_department AND o.resource_id = v_resource
            ORDER BY o.told_at DESC OFFSET 100);
    END LOOP;
    RETURN (SELECT coalesce(array_agg(untold.id), '{}') FROM (
        SELECT r.id FROM jsonb_each_text(p_used) u JOIN exchange.resource r ON r.id = u.key AND r.department = p_department
        WHERE u.value <> '' AND NOT EXISTS (SELECT FROM exchange.mapping m WHERE m.department = p_department
                                            AND m.resource_id = r.id AND m.version = u.value)
        ORDER BY r.id LIMIT 5) untold);
END $$;

-- Which reviews a batch with this manifest lacks today, each with the article that demands it.
CREATE FUNCTION exchange.missing_reviews(p_resource text, p_manifest text) RETURNS jsonb
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog AS $$
    SELECT coalesce(jsonb_agg(jsonb_build_object('review', k.kind, 'article', k.citation) ORDER BY k.kind), '[]')
    FROM exchange.clearances_of(p_resource, p_manifest) c JOIN exchange.clearance_kind k ON k.kind = ANY(c.missing)
$$;

-- A refusal says more where more is known: for batch_not_cleared the reviews that are missing, and their articles.
DROP FUNCTION exchange.refuse_batch(text, text, text, bytea);
CREATE FUNCTION exchange.refuse_batch(p_department text, p_resource text, p_reason text, p_digest bytea, p_facts jsonb DEFAULT '{}')
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
    v_id uuid := audit.new_id();
    v_at timestamptz := clock_timestamp();
BEGIN
    INSERT INTO exchange.batch_refusal (id, department, resource_id, reason, digest, refused_at)
    VALUES (v_id, p_department, p_resource, p_reason, p_digest, v_at) ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    PERFORM audit.append(v_id, v_at, 'batch_refused', p_department, NULL, 'system:loader', p_resource, NULL, NULL, NULL,
        p_reason, (p_facts || jsonb_build_object('event', 'batch_refused', 'id', v_id, 'at', v_at, 'department', p_department,
            'actor', 'system:loader', 'resource', p_resource, 'outcome', p_reason,
            'batch_digest', encode(p_digest, 'hex')))::text);
END $$;

REVOKE ALL ON exchange.screening, exchange.mapping FROM PUBLIC;
REVOKE ALL ON FUNCTION exchange.missing_reviews, exchange.refuse_batch FROM PUBLIC;
GRANT EXECUTE ON FUNCTION exchange.missing_reviews, exchange.refuse_batch TO shuqiao_loader;
REVOKE ALL ON FUNCTION exchange.set_screening, exchange.screening_rules, exchange.note_screened, exchange.hear_mappings FROM PUBLIC;
GRANT SELECT ON exchange.screening, exchange.mapping TO shuqiao_control;
GRANT EXECUTE ON FUNCTION exchange.set_screening TO shuqiao_control;
GRANT EXECUTE ON FUNCTION exchange.screening_rules, exchange.note_screened, exchange.hear_mappings TO shuqiao_loader;
