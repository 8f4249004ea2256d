-- The tables and functions of each list. Only the owner of the schemas can make them; control asks for them by name, so
-- that it needs no right to create anything. The templates stand apart: a migration that changes one replaces it and then
-- calls exchange.create_list for every resource. {rid} is the resource's id.

-- Reads rows and writes the audit entries of a micro-batch in one statement: no record, no data. Of two calls with one id
-- only the first is written: the second is a replay, though no entry was there when the statement began.
-- {plain} are the plain items of the base table; provenance stays here.
CREATE FUNCTION exchange.read_template() RETURNS text LANGUAGE sql IMMUTABLE AS $template$ SELECT $function$
CREATE OR REPLACE FUNCTION exchange.read_{rid}(
    p_epoch bigint, p_id uuid[], p_at timestamptz[], p_event text[], p_department text[], p_actor text[], p_grant text[],
    p_case text[], p_outcome text[], p_record uuid[], p_claims jsonb[], p_body text[]
) RETURNS TABLE (ordinal int, epoch bigint, written boolean, digest bytea, found boolean, version int, matches json, data json)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog SET timezone = 'UTC' AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    WITH seen AS MATERIALIZED (
        SELECT c.n, c.id, c.at, c.event, c.department, c.actor, c."grant", c.case_no, c.outcome, c.record,
               array_position(p_id, c.id) = c.n AS is_first, b.record_id IS NOT NULL AS found, b.version, x.matches, uuid_send(gen_random_uuid()) AS salt,
               CASE WHEN c.event = 'query' THEN (SELECT row_to_json(i) FROM (SELECT {plain}) i) END AS data,
               c.body || E'\n' || json_build_object('found', b.record_id IS NOT NULL, 'record', c.record,
                   'provider', (SELECT r.department FROM exchange.resource r WHERE r.id = '{rid}'), 'version', b.version, 'identity_version', b.identity_version, 'matches', x.matches)::text AS whole
        FROM exchange.epoch e
        CROSS JOIN unnest(p_id, p_at, p_event, p_department, p_actor, p_grant, p_case, p_outcome, p_record, p_claims, p_body)
             WITH ORDINALITY AS c(id, at, event, department, actor, "grant", case_no, outcome, record, claims, body, n)
        LEFT JOIN base.{rid} b ON b.record_id = c.record
        LEFT JOIN LATERAL (
            SELECT json_object_agg(k.key, coalesce(k.value = (w.row ->> k.key) OR k.value = exchange.written_form(w.row ->> k.key), false)) AS matches
            FROM (SELECT row_to_json(i) AS row FROM (SELECT {plain}) i OFFSET 0) w, jsonb_each_text(c.claims) k) x ON c.claims IS NOT NULL
        WHERE e.value = p_epoch),
    entry AS (
        INSERT INTO audit.entry (id, occurred_at, event, department, provider, actor, resource_id, record_id, grant_id,
                                 case_no, outcome, body, salt, digest)
        SELECT id, at, event, department, (SELECT r.department FROM exchange.resource r WHERE r.id = '{rid}'), actor, '{rid}',
               record, "grant", case_no, outcome, whole, salt, sha256(salt || convert_to(whole, 'UTF8'))
        FROM seen WHERE is_first ON CONFLICT (id) DO NOTHING RETURNING id, digest),
    queued AS (INSERT INTO audit.pending (entry_id, digest) SELECT id, digest FROM entry)
    SELECT seen.n::int, p_epoch, entry.id IS NOT NULL, entry.digest, seen.found, seen.version, seen.matches, seen.data
    FROM seen LEFT JOIN entry ON entry.id = seen.id AND seen.is_first;
    IF NOT FOUND THEN
        RETURN QUERY SELECT 0, e.value, false, NULL::bytea, false, NULL::int, NULL::json, NULL::json FROM exchange.epoch e;
    END IF;
END $$
$function$ $template$;

-- Merges a staged batch with provenance, history, ledger and audit entry, in the caller's transaction.
-- {items} are the plain items, each after a comma; {of_s} and {of_b} the same of two tables; {assign} sets them.
CREATE FUNCTION exchange.merge_template() RETURNS text LANGUAGE sql IMMUTABLE AS $template$ SELECT $function$
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
END $$
$function$ $template$;

-- Makes base table, history, staging and the two functions of a resource out of its specification; repeated, it brings
-- the functions up to date. Identity items have no column: they live in the vault. Pictures belong to the vault or a file.
CREATE FUNCTION exchange.create_list(p_resource text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $create$
DECLARE
    v_spec jsonb;
    v_item jsonb;
    v_field text;
    v_type text;
    v_provenance constant text := 'subject_id uuid NOT NULL, identity_version int NOT NULL, version int NOT NULL,
        source_department text NOT NULL, source_system text NOT NULL, batch_sequence bigint NOT NULL,
        first_received_at timestamptz NOT NULL, received_at timestamptz NOT NULL';
    v_columns text := '';
    v_items text := '';
    v_of_s text := '';
    v_of_b text := '';
    v_assign text := '';
BEGIN
    SELECT r.spec INTO v_spec FROM exchange.resource r WHERE r.id = p_resource AND r.id ~ '^r[0-9]{6}[a-z2-7]{10}$';
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no resource %', p_resource USING ERRCODE = 'invalid_parameter_value';
    END IF;
    FOR v_item IN SELECT i FROM jsonb_array_elements(v_spec -> 'items') WITH ORDINALITY AS e(i, n) ORDER BY n LOOP
        CONTINUE WHEN coalesce((v_item ->> 'identity')::boolean, false);
        v_field := v_item ->> 'field';
        v_type := CASE v_item ->> 'type' WHEN 'string' THEN 'text' WHEN 'text' THEN 'text' WHEN 'code' THEN 'text'
                                         WHEN 'date' THEN 'date' WHEN 'datetime' THEN 'timestamptz' END;
        -- Both become part of statements that run with the owner's rights.
        IF v_type IS NULL OR v_field IS NULL OR v_field !~ '^[a-z][a-z0-9_]{0,58}$' THEN
            RAISE EXCEPTION '%: item % of type % can have no column', p_resource, v_field, v_item ->> 'type'
                USING ERRCODE = 'invalid_parameter_value';
        END IF;
        v_columns := v_columns || format(', "%s" %s', v_field, v_type);
        v_items := v_items || format(', "%s"', v_field);
        v_of_s := v_of_s || format(', s."%s"', v_field);
        v_of_b := v_of_b || format(', b."%s"', v_field);
        v_assign := v_assign || format(', "%1$s" = s."%1$s"', v_field);
    END LOOP;
    EXECUTE format('CREATE TABLE IF NOT EXISTS base.%I (record_id uuid PRIMARY KEY, %s%s)',
        p_resource, v_provenance, v_columns);
    EXECUTE format('CREATE TABLE IF NOT EXISTS base_history.%I (record_id uuid NOT NULL, %s%s,
        replaced_at timestamptz NOT NULL, PRIMARY KEY (record_id, version))', p_resource, v_provenance, v_columns);
    EXECUTE format('CREATE UNLOGGED TABLE IF NOT EXISTS staging.%I (record_id uuid NOT NULL, subject_id uuid NOT NULL,
        identity_version int NOT NULL%s)', p_resource, v_columns);
    EXECUTE replace(replace(exchange.read_template(), '{rid}', p_resource), '{plain}', substr(v_of_b, 2));
    EXECUTE replace(replace(replace(replace(replace(exchange.merge_template(), '{rid}', p_resource),
        '{items}', v_items), '{of_s}', v_of_s), '{of_b}', v_of_b), '{assign}', v_assign);
    EXECUTE format('REVOKE ALL ON FUNCTION exchange.%I, exchange.%I FROM PUBLIC',
        'read_' || p_resource, 'merge_' || p_resource);
    EXECUTE format('GRANT EXECUTE ON FUNCTION exchange.%I TO shuqiao_plane', 'read_' || p_resource);
    EXECUTE format('GRANT EXECUTE ON FUNCTION exchange.%I TO shuqiao_loader', 'merge_' || p_resource);
    EXECUTE format('GRANT INSERT ON staging.%I TO shuqiao_loader', p_resource);
END $create$;

REVOKE ALL ON FUNCTION exchange.read_template, exchange.merge_template, exchange.create_list FROM PUBLIC;

-- What control does to the contract: it adds, and revokes. The platform's keys and the ledger it only reads.
GRANT USAGE ON SCHEMA exchange TO shuqiao_control;
GRANT SELECT, INSERT, UPDATE ON exchange.application, exchange.resource TO shuqiao_control;
GRANT SELECT, INSERT, UPDATE (revoked_at, revoked_reason, suspended_at, suspended_reason) ON exchange."grant" TO shuqiao_control;
GRANT SELECT ON exchange.signing_key, exchange.batch TO shuqiao_control;
-- It says which regulation is in force, and with it what refusals cite.
GRANT SELECT, INSERT, UPDATE, DELETE ON exchange.citation TO shuqiao_control;
GRANT EXECUTE ON FUNCTION exchange.create_list TO shuqiao_control;
