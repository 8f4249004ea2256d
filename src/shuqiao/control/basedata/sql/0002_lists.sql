-- The tables and functions of each list. Only the owner of the schemas can make them; control asks for them by name, so
-- that it needs no right to create anything. The templates stand apart: a migration that changes one replaces it and then
-- calls exchange.create_list for every resource. {rid} is the resource's id.

-- How often claims about a record did not agree, by day, department and item. `mark` is the vault's keyed digest of resource
-- and number, the same whether the number is known or not: neither a stranger to the vault's key nor a counter says who is
-- there. A day's rows are of no use once it is over.
CREATE TABLE exchange.guess (
    mark       bytea NOT NULL CHECK (length(mark) = 16),
    day        date NOT NULL,
    department text NOT NULL,
    field      text NOT NULL,
    misses     int NOT NULL CHECK (misses > 0),
    PRIMARY KEY (mark, day, field, department)
) WITH (fillfactor = 70);

CREATE FUNCTION exchange.forget_guesses(p_before date) RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog AS $$
    WITH gone AS (DELETE FROM exchange.guess WHERE day < least(p_before, (now() AT TIME ZONE 'UTC' + interval '8 hours')::date) RETURNING 1) SELECT count(*) FROM gone
$$;

-- Whether a record fulfils the conditions of a grant, as `rules.rows.holds` says it: an unknown operator holds for nothing.
CREATE FUNCTION exchange.fulfils(p_record json, p_rows jsonb) RETURNS boolean
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog AS $$
BEGIN
    RETURN (SELECT coalesce(bool_and(CASE r ->> 'op'
        WHEN 'null' THEN v IS NULL
        WHEN 'range' THEN v IS NOT NULL AND coalesce((r #>> '{values,0}' = '' OR r #>> '{values,0}' COLLATE "C" <= v)
                               AND (r #>> '{values,1}' = '' OR v <= r #>> '{values,1}' COLLATE "C"), false)
        WHEN 'eq' THEN coalesce((r -> 'values') ? v, false)
        WHEN 'in' THEN coalesce((r -> 'values') ? v, false)
        ELSE false END), true)
    FROM jsonb_array_elements(p_rows) r CROSS JOIN LATERAL (SELECT p_record ->> (r ->> 'field')) AS written(v));
END $$;

-- Counts the claims of calls that do not agree, and names by `n` those whose budget is used up. The row of a counter is locked
-- until the commit, so two workers can't both be the last below a limit. `p_limits` are the misses a day of one department and
-- of all together. A function of its own, so that most batches, in which everybody agrees, don't pay for setting it up.
-- What is looked up in large tables is a scalar subquery: as a join it could be planned, while they are small, as a scan of
-- all of them, and the plan is kept.
CREATE FUNCTION exchange.count_guesses(
    p_resource text, p_limits int[], p_n bigint[], p_id uuid[], p_at timestamptz[], p_department text[], p_provider text[],
    p_actor text[], p_grant text[], p_mark bytea[], p_found boolean[], p_identity json[], p_matches json[]
) RETURNS TABLE (n bigint)
LANGUAGE plpgsql SET search_path = pg_catalog SET timezone = 'UTC' AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    WITH suspect AS MATERIALIZED (
        SELECT s.*, (s.at + interval '8 hours')::date AS day
        FROM unnest(p_n, p_id, p_at, p_department, p_provider, p_actor, p_grant, p_mark, p_found, p_identity, p_matches)
             AS s(n, id, at, department, provider, actor, "grant", mark, found, identity, matches)),
    claim AS MATERIALIZED (
        SELECT c.n, c.mark, c.day, f.field, c.department, f.missed,
               sum(f.missed) OVER (PARTITION BY c.mark, c.day, f.field, c.department ORDER BY c.n) - f.missed AS own_earlier,
               sum(f.missed) OVER (PARTITION BY c.mark, c.day, f.field ORDER BY c.n) - f.missed AS all_earlier
        FROM suspect c CROSS JOIN LATERAL (
            SELECT k.key AS field, (NOT c.found OR k.value <> 'true')::int AS missed FROM json_each_text(c.identity) k
            UNION ALL
            SELECT k.key, (NOT c.found OR k.value <> 'true')::int FROM json_each_text(c.matches) k) f
        WHERE (SELECT e.id FROM audit.entry e WHERE e.id = c.id) IS NULL),
    added AS MATERIALIZED (
        SELECT mark, day, field, department, sum(missed)::int AS misses, max(n) FILTER (WHERE missed = 1) AS last
        FROM claim GROUP BY mark, day, field, department),
    counted AS (
        INSERT INTO exchange.guess AS g (mark, day, field, department, misses)
        SELECT mark, day, field, department, misses FROM added WHERE misses > 0 ORDER BY mark, day, field, department
        ON CONFLICT (mark, day, field, department) DO UPDATE SET misses = g.misses + excluded.misses
        RETURNING mark, day, field, department, misses),
    before AS MATERIALIZED (
        SELECT a.*, own.misses AS own, own.misses + coalesce((
                   SELECT sum(o.misses) FROM exchange.guess o WHERE o.mark = a.mark AND o.day = a.day AND o.field = a.field
                          AND o.department <> a.department), 0) AS everywhere
        FROM added a LEFT JOIN counted t USING (mark, day, field, department)
        CROSS JOIN LATERAL (SELECT coalesce(t.misses - a.misses, (
            SELECT h.misses FROM exchange.guess h WHERE h.mark = a.mark AND h.day = a.day AND h.field = a.field
                   AND h.department = a.department), 0) AS misses) own),
    over AS MATERIALIZED (
        SELECT c.n FROM claim c JOIN before b USING (mark, day, field, department)
        WHERE b.own + c.own_earlier >= p_limits[1] OR b.everywhere + c.all_earlier >= p_limits[2] GROUP BY c.n),
    -- The alarm names the call and not the record: an id that came back another day would tell that somebody is there.
    alarm AS MATERIALIZED (
        SELECT audit.new_id() AS id, c.id AS call, c.at, c.department, c.provider, c.actor, c."grant", b.field, v.scope, v.most,
               uuid_send(gen_random_uuid()) AS salt
        FROM before b
        CROSS JOIN LATERAL (VALUES ('department', b.own, p_limits[1]), ('city', b.everywhere, p_limits[2])) v(scope, had, most)
        JOIN suspect c ON c.n = b.last
        WHERE v.had < v.most AND v.had + b.misses >= v.most),
    alarmed AS (
        INSERT INTO audit.entry (id, occurred_at, event, department, provider, actor, resource_id, grant_id, outcome, body, salt,
                                 digest)
        SELECT a.id, a.at, 'guessing_suspected', a.department, a.provider, a.actor, p_resource, a."grant", 'suspected', w.body, a.salt,
               sha256(a.salt || convert_to(w.body, 'UTF8'))
        FROM alarm a CROSS JOIN LATERAL (SELECT json_build_object('event', 'guessing_suspected', 'id', a.id, 'at', a.at,
            'department', a.department, 'provider', a.provider, 'actor', a.actor, 'resource', p_resource, 'call', a.call,
            'grant', a."grant", 'outcome', 'suspected', 'item', a.field, 'scope', a.scope, 'limit', a.most)::text AS body) w
        RETURNING id, digest),
    queued AS (INSERT INTO audit.pending (entry_id, digest) SELECT id, digest FROM alarmed)
    SELECT n FROM over;
END $$;

-- Reads rows and writes the audit entries of a micro-batch in one statement: no record, no data. Where all calls say the same of
-- event, department, actor, grant or outcome, it stands once in an array of one; what none of them says is a null array. Of two calls with one id
-- only the first is written: the second is a replay, though no entry was there when the statement began.
-- {plain} are the plain items of the base table; provenance stays here.
-- A record outside the conditions of its grant (p_rows) is as if it were not there. p_identity is the vault's comparison.
-- Claims that do not agree are counted by p_mark in this very statement: the row of a counter is locked until the commit, so
-- two workers can't both be the last below a limit. p_limits are the misses a day of one department and of all together; once
-- they are used up a call without a case number is told nothing, not even to the log, whether its claims agree or not.
-- The salts of a batch are made of one secret that is nowhere kept: whoever learns one of them learns no other.
-- `budget` of the answer: 0 within it, 1 used up and answered for its case, 2 used up and not answered.
CREATE FUNCTION exchange.read_template() RETURNS text LANGUAGE sql IMMUTABLE AS $template$ SELECT $function$
CREATE OR REPLACE FUNCTION exchange.read_{rid}(
    p_epoch bigint, p_id uuid[], p_at timestamptz[], p_event text[], p_department text[], p_actor text[], p_grant text[],
    p_case text[], p_outcome text[], p_record uuid[], p_claims jsonb[], p_body text[], p_rows jsonb[] DEFAULT NULL,
    p_mark bytea[] DEFAULT NULL, p_identity json[] DEFAULT NULL, p_agreed boolean[] DEFAULT NULL, p_limits int[] DEFAULT NULL
) RETURNS TABLE (ordinal int, epoch bigint, written boolean, digest bytea, found boolean, version int, matches json, data json, budget int)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog SET timezone = 'UTC' AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    WITH call AS MATERIALIZED (
        SELECT c.n, c.id, c.at, coalesce(c.event, p_event[1]) AS event, coalesce(c.department, p_department[1]) AS department,
               coalesce(c.actor, p_actor[1]) AS actor, coalesce(c."grant", p_grant[1]) AS "grant", c.case_no,
               coalesce(c.outcome, p_outcome[1]) AS outcome, c.record, c.body, c.mark, c.identity,
               (SELECT r.department FROM exchange.resource r WHERE r.id = '{rid}') AS provider,
               array_position(p_id, c.id) = c.n AS is_first, b.record_id IS NOT NULL AS found, b.version, b.identity_version, x.matches,
               b.record_id IS NOT NULL AND coalesce(c.agreed, true) AND coalesce(x.agreed, true) AS agreed,
               (c.at + interval '8 hours')::date AS day, substr(sha256(e.secret || int8send(c.n)), 1, 16) AS salt,
               CASE WHEN coalesce(c.event, p_event[1]) = 'query' THEN (SELECT row_to_json(i) FROM (SELECT {plain}) i) END AS data
        FROM (SELECT s.value, uuid_send(gen_random_uuid()) AS secret FROM exchange.epoch s OFFSET 0) e
        CROSS JOIN unnest(p_id, p_at, p_event, p_department, p_actor, p_grant, p_case, p_outcome, p_record, p_claims, p_body,
                          p_rows, p_mark, p_identity, p_agreed)
             WITH ORDINALITY AS c(id, at, event, department, actor, "grant", case_no, outcome, record, claims, body,
                                  rows, mark, identity, agreed, n)
        -- The conditions are looked at whether a record is there or not: else time would tell.
        LEFT JOIN LATERAL (
            SELECT b.* FROM (VALUES (1)) one (n) LEFT JOIN base.{rid} b ON b.record_id = c.record
            WHERE c.rows IS NULL OR exchange.fulfils((SELECT row_to_json(i) FROM (SELECT {plain}) i), c.rows)) b ON true
        LEFT JOIN LATERAL (
            SELECT json_object_agg(m.key, m.agrees) AS matches, bool_and(m.agrees) AS agreed
            FROM (SELECT k.key, coalesce(k.value = (w.row ->> k.key) OR k.value = exchange.written_form(w.row ->> k.key), false) AS agrees
                  FROM (SELECT row_to_json(i) AS row FROM (SELECT {plain}) i OFFSET 0) w, jsonb_each_text(c.claims) k) m) x ON c.claims IS NOT NULL
        WHERE e.value = p_epoch),
    -- Most calls agree and most records were never missed: the rest of the counting sees only the others.
    -- What is looked up in large tables is a scalar subquery: as a join it could be planned, while they are small, as a scan
    -- of all of them, and the plan is kept.
    suspect AS MATERIALIZED (
        SELECT c.* FROM call c
        WHERE p_mark IS NOT NULL AND c.mark IN (SELECT s.mark FROM call s WHERE NOT s.agreed
                         UNION ALL SELECT s.mark FROM call s WHERE (
                             SELECT g.misses FROM exchange.guess g WHERE g.mark = s.mark AND g.day = s.day LIMIT 1) > 0)),
    over AS MATERIALIZED (
        SELECT g.n FROM (
            SELECT array_agg(c.n) AS n, array_agg(c.id) AS id, array_agg(c.at) AS at, array_agg(c.department) AS department,
                   array_agg(c.provider) AS provider, array_agg(c.actor) AS actor, array_agg(c."grant") AS "grant",
                   array_agg(c.mark) AS mark, array_agg(c.found) AS found, array_agg(c.identity) AS identity,
                   array_agg(c.matches) AS matches FROM suspect c) s
        CROSS JOIN LATERAL exchange.count_guesses('{rid}', p_limits, s.n, s.id, s.at, s.department, s.provider, s.actor,
            s."grant", s.mark, s.found, s.identity, s.matches) g
        WHERE s.n IS NOT NULL),
    said AS MATERIALIZED (
        SELECT c.n, c.id, c.at, c.event, c.department, c.provider, c.actor, c."grant", c.case_no, c.record, c.is_first, c.found,
               c.version, c.matches, c.data, c.salt, j.budget,
               CASE WHEN j.budget = 2 THEN 'case_number_demanded' ELSE c.outcome END AS ended,
               c.body || E'\n' || CASE WHEN j.budget = 2
                   THEN json_build_object('record', c.record, 'provider', c.provider, 'outcome', 'case_number_demanded')
                   ELSE json_build_object('found', c.found, 'record', c.record, 'provider', c.provider, 'outcome', c.outcome,
                       'version', c.version, 'identity_version', c.identity_version,
                       'identity', CASE WHEN c.found THEN c.identity
                           ELSE (SELECT json_object_agg(k.key, false) FROM json_each_text(c.identity) k) END, 'matches', c.matches) END::text AS whole
        FROM call c LEFT JOIN over o ON o.n = c.n
        CROSS JOIN LATERAL (SELECT CASE WHEN o.n IS NULL THEN 0 WHEN coalesce(c.case_no, '') = '' THEN 2 ELSE 1 END AS budget) j),
    entry AS (
        INSERT INTO audit.entry (id, occurred_at, event, department, provider, actor, resource_id, record_id, grant_id,
                                 case_no, outcome, body, salt, digest)
        SELECT id, at, event, department, provider, actor, '{rid}', record, "grant", case_no, ended, whole, salt,
               sha256(salt || convert_to(whole, 'UTF8'))
        FROM said WHERE is_first ON CONFLICT (id) DO NOTHING RETURNING id, digest),
    queued AS (INSERT INTO audit.pending (entry_id, digest) SELECT id, digest FROM entry)
    SELECT said.n::int, p_epoch, entry.id IS NOT NULL, entry.digest, said.found AND said.budget < 2, said.version, said.matches,
           CASE WHEN said.found THEN said.data END, said.budget
    FROM said LEFT JOIN entry ON entry.id = said.id AND said.is_first;
    IF NOT FOUND THEN
        RETURN QUERY SELECT 0, e.value, false, NULL::bytea, false, NULL::int, NULL::json, NULL::json, 0 FROM exchange.epoch e;
    END IF;
END $$
$function$ $template$;

-- Records that left a list: the version that was removed, and the batch that said so. One that comes back goes on counting.
CREATE TABLE exchange.removal (
    resource_id    text NOT NULL REFERENCES exchange.resource (id),
    record_id      uuid NOT NULL,
    version        int NOT NULL,
    department     text NOT NULL,
    batch_sequence bigint NOT NULL,
    removed_at     timestamptz NOT NULL,
    PRIMARY KEY (resource_id, record_id, version)
);
CREATE INDEX removal_by_batch ON exchange.removal (resource_id, batch_sequence);

-- Merges a staged batch with provenance, history, ledger and audit entry, in the caller's transaction. p_removed are records
-- that are gone: they leave the list for its history. p_quiet rows are accepted and change nothing. p_new: the vault has made
-- the records of all staged rows just now, so nobody has them and none is looked up; one that is there all the same is an error.
-- A batch is small beside a list: without statistics of it, joining by hash would read the whole list for each.
-- {items} are the plain items, each after a comma; {of_s} and {of_b} the same of two rows; {assign} sets them to a staged row's.
CREATE FUNCTION exchange.merge_template() RETURNS text LANGUAGE sql IMMUTABLE AS $template$ SELECT $function$
DROP FUNCTION IF EXISTS exchange.merge_{rid}(text, bigint, text, bytea, jsonb, text);
CREATE OR REPLACE FUNCTION exchange.merge_{rid}(
    p_department text, p_sequence bigint, p_manifest text, p_manifest_digest bytea, p_rejected jsonb, p_source text,
    p_removed uuid[] DEFAULT '{}', p_quiet int DEFAULT 0, p_new boolean DEFAULT false
) RETURNS TABLE (accepted int, inserted int, updated int, unchanged int, removed int)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog SET enable_hashjoin = off SET enable_mergejoin = off AS $$
#variable_conflict use_column
DECLARE
    v_now timestamptz := clock_timestamp();
    v_id uuid := audit.new_id();
    v_staged int; v_accepted int; v_inserted int; v_updated int := 0; v_removed int := 0;
    v_cited uuid[]; v_missing text[];
    -- Of most lists nothing was ever removed: then no row is looked up.
    v_back boolean := EXISTS (SELECT FROM exchange.removal d WHERE d.resource_id = '{rid}');
BEGIN
    IF p_department IS DISTINCT FROM (SELECT r.department FROM exchange.resource r WHERE r.id = '{rid}' AND r.active) THEN
        RAISE EXCEPTION 'resource {rid} is not provided by %', p_department USING ERRCODE = 'insufficient_privilege';
    END IF;
    IF p_sequence IS DISTINCT FROM exchange.last_sequence(p_department, '{rid}') + 1 THEN
        RAISE EXCEPTION 'batch % is not the next one of {rid}', p_sequence USING ERRCODE = 'object_not_in_prerequisite_state';
    END IF;
    SELECT c.cited, c.missing INTO v_cited, v_missing FROM exchange.clearances_of('{rid}', p_manifest) c;
    IF cardinality(v_missing) > 0 THEN
        RAISE EXCEPTION 'a review of {rid} was taken back meanwhile' USING ERRCODE = 'object_not_in_prerequisite_state';
    END IF;
    IF cardinality(p_removed) > 0 THEN
        WITH gone AS (
            DELETE FROM base.{rid} b USING unnest(p_removed) AS r(id) WHERE b.record_id = r.id RETURNING b.*),
        kept AS (
            INSERT INTO base_history.{rid} (record_id, subject_id, identity_version, version, source_department, source_system,
                                            batch_sequence, first_received_at, received_at{items}, replaced_at)
            SELECT b.record_id, b.subject_id, b.identity_version, b.version, b.source_department, b.source_system,
                   b.batch_sequence, b.first_received_at, b.received_at{of_b}, v_now FROM gone b)
        INSERT INTO exchange.removal (resource_id, record_id, version, department, batch_sequence, removed_at)
        SELECT '{rid}', b.record_id, b.version, p_department, p_sequence, v_now FROM gone b;
        GET DIAGNOSTICS v_removed = ROW_COUNT;
    END IF;
    IF p_new THEN
        INSERT INTO base.{rid} (record_id, subject_id, identity_version, version, source_department, source_system,
                                batch_sequence, first_received_at, received_at{items})
        SELECT s.record_id, s.subject_id, s.identity_version, 1, p_department, p_source, p_sequence, v_now, v_now{of_s}
        FROM staging.{rid} s;
        GET DIAGNOSTICS v_staged = ROW_COUNT;
        v_inserted := v_staged;
    ELSE
        -- Each staged row looks its record up once, by key, and from then on both are found where they lie: what is new goes
        -- into the list, what differs goes to the history and is written where it was.
        WITH found AS MATERIALIZED (
            SELECT s.ctid AS staged, b.ctid AS place, b.ctid IS NOT NULL AND
                   (b.subject_id, b.identity_version{of_b}) IS DISTINCT FROM (s.subject_id, s.identity_version{of_s}) AS differs
            FROM staging.{rid} s LEFT JOIN base.{rid} b USING (record_id)),
        kept AS (
            INSERT INTO base_history.{rid} (record_id, subject_id, identity_version, version, source_department, source_system,
                                            batch_sequence, first_received_at, received_at{items}, replaced_at)
            SELECT b.record_id, b.subject_id, b.identity_version, b.version, b.source_department, b.source_system,
                   b.batch_sequence, b.first_received_at, b.received_at{of_b}, v_now
            FROM found f JOIN base.{rid} b ON b.ctid = f.place WHERE f.differs),
        written AS (
            UPDATE base.{rid} b
            SET subject_id = s.subject_id, identity_version = s.identity_version, version = b.version + 1,
                source_department = p_department, source_system = p_source, batch_sequence = p_sequence, received_at = v_now{assign}
            FROM found f JOIN staging.{rid} s ON s.ctid = f.staged WHERE f.differs AND b.ctid = f.place RETURNING 1),
        added AS (
            INSERT INTO base.{rid} (record_id, subject_id, identity_version, version, source_department, source_system,
                                    batch_sequence, first_received_at, received_at{items})
            SELECT s.record_id, s.subject_id, s.identity_version, coalesce(CASE WHEN v_back THEN (
                       SELECT max(d.version) + 1 FROM exchange.removal d WHERE d.resource_id = '{rid}' AND d.record_id = s.record_id) END, 1),
                   p_department, p_source, p_sequence, v_now, v_now{of_s}
            FROM found f JOIN staging.{rid} s ON s.ctid = f.staged WHERE f.place IS NULL RETURNING 1)
        SELECT (SELECT count(*) FROM found), (SELECT count(*) FROM written), (SELECT count(*) FROM added)
        INTO v_staged, v_updated, v_inserted;
    END IF;
    v_accepted := v_staged + cardinality(p_removed) + p_quiet;
    DELETE FROM staging.{rid};
    INSERT INTO exchange.batch (department, resource_id, sequence, manifest, manifest_digest, accepted, inserted, updated,
                                unchanged, removed, rejected, clearances, merged_at)
    VALUES (p_department, '{rid}', p_sequence, p_manifest, p_manifest_digest, v_accepted, v_inserted, v_updated,
            v_accepted - v_inserted - v_updated - v_removed, v_removed, p_rejected, v_cited, v_now);
    PERFORM audit.append(v_id, v_now, 'batch_merged', p_department, p_department, 'system:loader', '{rid}', NULL, NULL, NULL,
        'merged', jsonb_build_object('event', 'batch_merged', 'id', v_id, 'at', v_now, 'department', p_department,
            'provider', p_department, 'actor', 'system:loader', 'resource', '{rid}', 'outcome', 'merged',
            'sequence', p_sequence,
            'batch_digest', encode(p_manifest_digest, 'hex'), 'accepted', v_accepted, 'inserted', v_inserted,
            'updated', v_updated, 'removed', v_removed, 'rejected', jsonb_array_length(p_rejected), 'clearances', v_cited)::text);
    RETURN QUERY SELECT v_accepted, v_inserted, v_updated, v_accepted - v_inserted - v_updated - v_removed, v_removed;
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
    EXECUTE format('CREATE TABLE IF NOT EXISTS base.%I (record_id uuid PRIMARY KEY, %s%s) WITH (fillfactor = 90)',
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
REVOKE ALL ON exchange.guess, exchange.removal FROM PUBLIC;
GRANT SELECT ON exchange.removal TO shuqiao_control;
REVOKE ALL ON FUNCTION exchange.fulfils, exchange.forget_guesses, exchange.count_guesses FROM PUBLIC;
GRANT EXECUTE ON FUNCTION exchange.forget_guesses TO shuqiao_plane;
