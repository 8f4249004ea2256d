-- The audit log. Entries are durable first; the integrator numbers them into a Merkle tree (RFC 6962).

CREATE SCHEMA audit;

CREATE TABLE audit.entry (
    id          uuid PRIMARY KEY,
    occurred_at timestamptz NOT NULL,
    -- Small letters and underscores; a regular expression would cost as much as an index.
    event       text NOT NULL CHECK (length(event) BETWEEN 3 AND 40 AND translate(event, 'abcdefghijklmnopqrstuvwxyz_', '') = ''),
    department  text,
    provider    text,
    actor       text NOT NULL,
    resource_id text,
    record_id   uuid,
    grant_id    text,
    case_no     text,
    outcome     text NOT NULL,
    body        text,
    salt        bytea NOT NULL CHECK (length(salt) = 16),
    digest      bytea NOT NULL CHECK (length(digest) = 32)
) PARTITION BY RANGE (id);
COMMENT ON TABLE audit.entry IS
    'One row per use or decision; digest = sha256(salt || utf8(body)); the other columns repeat fields of the body for searching.';
CREATE INDEX entry_by_department ON audit.entry (department, occurred_at DESC);
CREATE INDEX entry_by_provider ON audit.entry (provider, occurred_at DESC);
CREATE INDEX entry_by_time ON audit.entry (occurred_at DESC);
CREATE INDEX entry_by_record ON audit.entry (record_id) WHERE record_id IS NOT NULL;
-- Whatever has no part of its own: a missing one stops no call.
CREATE TABLE audit.entry_other PARTITION OF audit.entry DEFAULT;

-- The first id of a moment; `rules.entry_ids` says the same.
CREATE FUNCTION audit.first_id(p_at timestamptz) RETURNS uuid LANGUAGE sql IMMUTABLE SET search_path = pg_catalog AS $$
    SELECT encode(substr(int8send(floor(extract(epoch FROM p_at) * 1000)::bigint), 3) || '\x00000000000000000000'::bytea, 'hex')::uuid
$$;
-- An id that nothing determines: its time, then chance.
CREATE FUNCTION audit.new_id() RETURNS uuid LANGUAGE sql VOLATILE SET search_path = pg_catalog AS $$
    SELECT encode(substr(int8send(floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint), 3)
        || substr(uuid_send(gen_random_uuid()), 7), 'hex')::uuid
$$;

-- Entries not yet in the tree. A queue, not a watermark: a late commit is simply numbered later.
CREATE TABLE audit.pending (
    entry_id  uuid NOT NULL,
    digest    bytea NOT NULL,
    queued_at timestamptz NOT NULL DEFAULT clock_timestamp()
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 20000);

CREATE TABLE audit.leaf (
    position bigint PRIMARY KEY CHECK (position >= 0),
    entry_id uuid NOT NULL UNIQUE,
    hash     bytea NOT NULL CHECK (length(hash) = 32)
);

CREATE TABLE audit.node (
    level    smallint NOT NULL CHECK (level > 0 AND level % 8 = 0),
    position bigint NOT NULL CHECK (position >= 0),
    hash     bytea NOT NULL CHECK (length(hash) = 32),
    PRIMARY KEY (level, position)
);
COMMENT ON TABLE audit.node IS 'Hashes of complete subtrees of 256^k leaves; smaller ones are computed from the leaves.';

CREATE TABLE audit.checkpoint (
    size      bigint PRIMARY KEY CHECK (size > 0),
    root      bytea NOT NULL CHECK (length(root) = 32),
    signed_at timestamptz NOT NULL,
    key_id    text NOT NULL,
    signature bytea NOT NULL
);

-- Whoever may write an entry writes it through this function, never into the table.
CREATE FUNCTION audit.append(
    p_id uuid, p_occurred_at timestamptz, p_event text, p_department text, p_provider text, p_actor text,
    p_resource_id text, p_record_id uuid, p_grant_id text, p_case_no text, p_outcome text, p_body text
) RETURNS bytea LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog AS $$
    WITH salted AS MATERIALIZED (SELECT uuid_send(gen_random_uuid()) AS salt),
    entry AS (
        INSERT INTO audit.entry (id, occurred_at, event, department, provider, actor, resource_id, record_id,
                                 grant_id, case_no, outcome, body, salt, digest)
        SELECT p_id, p_occurred_at, p_event, p_department, p_provider, p_actor, p_resource_id, p_record_id,
               p_grant_id, p_case_no, p_outcome, p_body, salt, sha256(salt || convert_to(p_body, 'UTF8'))
        FROM salted RETURNING id, digest),
    queued AS (INSERT INTO audit.pending (entry_id, digest) SELECT id, digest FROM entry)
    SELECT digest FROM entry
$$;

-- Makes the parts of this month (UTC) and the next ones; returns how many were made. A part is attached, not created in
-- place, and waits for no lock longer than two seconds: calls go on meanwhile. A month of which entries have already come
-- to stand in the part for everything else stays there.
CREATE FUNCTION audit.add_parts(p_months int) RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog SET timezone = 'UTC' SET lock_timeout = '2s' AS $$
DECLARE
    v_month timestamptz;
    v_name text;
    v_made int := 0;
BEGIN
    FOR v_month IN SELECT date_trunc('month', clock_timestamp()) + make_interval(months => n)
                   FROM generate_series(0, least(p_months, 60)) n LOOP
        v_name := 'entry_' || to_char(v_month, 'YYYY_MM');
        CONTINUE WHEN to_regclass('audit.' || v_name) IS NOT NULL;
        BEGIN
            EXECUTE format('CREATE TABLE audit.%I (LIKE audit.entry INCLUDING ALL)', v_name);
            EXECUTE format('REVOKE ALL ON audit.%I FROM PUBLIC', v_name);
            EXECUTE format('CREATE TRIGGER whole_table BEFORE TRUNCATE ON audit.%I FOR EACH STATEMENT '
                'EXECUTE FUNCTION audit.refuse_change()', v_name);
            EXECUTE format('ALTER TABLE audit.entry ATTACH PARTITION audit.%I FOR VALUES FROM (%L) TO (%L)', v_name,
                audit.first_id(v_month), audit.first_id(v_month + interval '1 month'));
            v_made := v_made + 1;
        EXCEPTION WHEN check_violation OR lock_not_available THEN
            -- What this block made is undone with it; the next run tries again.
            NULL;
        END;
    END LOOP;
    RETURN v_made;
END $$;

-- Nobody changes or removes an entry, a leaf, a node or a checkpoint: not by mistake, and not by the owner's own code.
CREATE FUNCTION audit.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'audit.% takes new rows only', TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
END $$;
-- For each row, because such a trigger holds in every part, also for whoever names the part and not the whole.
CREATE TRIGGER insert_only BEFORE UPDATE OR DELETE ON audit.entry
    FOR EACH ROW EXECUTE FUNCTION audit.refuse_change();
CREATE TRIGGER whole_table BEFORE TRUNCATE ON audit.entry
    FOR EACH STATEMENT EXECUTE FUNCTION audit.refuse_change();
CREATE TRIGGER whole_table BEFORE TRUNCATE ON audit.entry_other
    FOR EACH STATEMENT EXECUTE FUNCTION audit.refuse_change();
CREATE TRIGGER insert_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit.leaf
    FOR EACH STATEMENT EXECUTE FUNCTION audit.refuse_change();
CREATE TRIGGER insert_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit.node
    FOR EACH STATEMENT EXECUTE FUNCTION audit.refuse_change();
CREATE TRIGGER insert_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit.checkpoint
    FOR EACH STATEMENT EXECUTE FUNCTION audit.refuse_change();

REVOKE ALL ON ALL TABLES IN SCHEMA audit FROM PUBLIC;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA audit FROM PUBLIC;
GRANT USAGE ON SCHEMA audit TO shuqiao_integrator, shuqiao_auditor;
GRANT SELECT (id, digest) ON audit.entry TO shuqiao_integrator;
GRANT SELECT, DELETE ON audit.pending TO shuqiao_integrator;
GRANT SELECT, INSERT ON audit.leaf, audit.node, audit.checkpoint TO shuqiao_integrator;
GRANT SELECT ON ALL TABLES IN SCHEMA audit TO shuqiao_auditor;

SELECT audit.add_parts(15);
