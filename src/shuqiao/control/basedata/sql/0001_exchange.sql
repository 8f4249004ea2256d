-- The contract schema: what plane, loader and nodes' keys may see of the hub. Contract version 1.

CREATE SCHEMA base;
CREATE SCHEMA base_history;
CREATE SCHEMA staging;
CREATE SCHEMA exchange;

CREATE FUNCTION exchange.contract_version() RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 1';

CREATE TABLE exchange.application (
    id         text PRIMARY KEY CHECK (id ~ '^app-[a-z0-9-]{1,60}$'),
    department text NOT NULL,
    name_zh    text NOT NULL,
    name_en    text NOT NULL,
    algorithm  text NOT NULL CHECK (algorithm IN ('ed25519', 'ecdsa-p256-sha256')),
    public_key bytea NOT NULL UNIQUE,
    active     boolean NOT NULL DEFAULT true,
    -- The pages of a department: what is downloaded as a copy or browsed goes to a person by way of them.
    portal     boolean NOT NULL DEFAULT false
);

CREATE TABLE exchange.resource (
    id         text PRIMARY KEY CHECK (id ~ '^r[0-9]{6}[a-z2-7]{10}$'),
    code       text NOT NULL UNIQUE,
    name_zh    text NOT NULL,
    name_en    text NOT NULL,
    department text NOT NULL,
    spec       jsonb NOT NULL,
    active     boolean NOT NULL DEFAULT true
);

CREATE TABLE exchange."grant" (
    id             text PRIMARY KEY,
    document       text NOT NULL,
    signature      bytea NOT NULL,
    key_id         text NOT NULL,
    revoked_at     timestamptz,
    revoked_reason text,
    suspended_at     timestamptz,
    suspended_reason text,
    CHECK ((revoked_at IS NULL) = (revoked_reason IS NULL)),
    CHECK ((suspended_at IS NULL) = (suspended_reason IS NULL))
);
COMMENT ON TABLE exchange."grant" IS 'Immutable signed documents; they are suspended and resumed, and revoked once.';

CREATE FUNCTION exchange.keep_grant() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (NEW.id, NEW.document, NEW.signature, NEW.key_id) IS DISTINCT FROM (OLD.id, OLD.document, OLD.signature, OLD.key_id)
       OR OLD.revoked_at IS NOT NULL THEN
        RAISE EXCEPTION 'grant % cannot be changed: a change is a new grant', OLD.id;
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER keep_grant BEFORE UPDATE ON exchange."grant" FOR EACH ROW EXECUTE FUNCTION exchange.keep_grant();

CREATE TABLE exchange.signing_key (
    id         text PRIMARY KEY,
    purpose    text NOT NULL CHECK (purpose IN ('grants', 'log', 'promise', 'receipts', 'vault')),
    algorithm  text NOT NULL CHECK (algorithm IN ('ed25519', 'x25519')),
    public_key bytea NOT NULL,
    active     boolean NOT NULL DEFAULT true
);

-- Which article of the regulation in force speaks of a matter that refusals name.
CREATE TABLE exchange.citation (
    matter   text PRIMARY KEY CHECK (matter ~ '^[a-z][a-z0-9_]{0,62}$'),
    citation text NOT NULL CHECK (length(citation) BETWEEN 1 AND 120)
);

CREATE TABLE exchange.node (
    department text PRIMARY KEY,
    name       text NOT NULL,
    public_key bytea NOT NULL,
    nats_user  text NOT NULL,
    active     boolean NOT NULL DEFAULT true
);

-- The epoch makes revocation certain: no call is answered whose statement starts after the revocation is committed.
CREATE TABLE exchange.epoch (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    value    bigint NOT NULL
);
INSERT INTO exchange.epoch (value) VALUES (1);

CREATE FUNCTION exchange.advance_epoch() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
    UPDATE exchange.epoch SET value = value + 1;
    PERFORM pg_notify('exchange_epoch', '');
    RETURN NULL;
END $$;
CREATE TRIGGER advance_epoch AFTER INSERT OR UPDATE OR DELETE ON exchange.application
    FOR EACH STATEMENT EXECUTE FUNCTION exchange.advance_epoch();
CREATE TRIGGER advance_epoch AFTER INSERT OR UPDATE OR DELETE ON exchange.resource
    FOR EACH STATEMENT EXECUTE FUNCTION exchange.advance_epoch();
CREATE TRIGGER advance_epoch AFTER INSERT OR UPDATE OR DELETE ON exchange."grant"
    FOR EACH STATEMENT EXECUTE FUNCTION exchange.advance_epoch();
CREATE TRIGGER advance_epoch AFTER INSERT OR UPDATE OR DELETE ON exchange.signing_key
    FOR EACH STATEMENT EXECUTE FUNCTION exchange.advance_epoch();
CREATE TRIGGER advance_epoch AFTER INSERT OR UPDATE OR DELETE ON exchange.citation
    FOR EACH STATEMENT EXECUTE FUNCTION exchange.advance_epoch();

-- The ledger of batches: each is merged once.
CREATE TABLE exchange.batch (
    department      text NOT NULL,
    resource_id     text NOT NULL REFERENCES exchange.resource (id),
    sequence        bigint NOT NULL CHECK (sequence > 0),
    manifest        text NOT NULL,
    manifest_digest bytea NOT NULL CHECK (length(manifest_digest) = 32),
    accepted        int NOT NULL,
    inserted        int NOT NULL,
    updated         int NOT NULL,
    unchanged       int NOT NULL,
    removed         int NOT NULL DEFAULT 0,
    rejected        jsonb NOT NULL,
    receipt         text,
    merged_at       timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (department, resource_id, sequence)
);

CREATE TABLE exchange.batch_refusal (
    id          uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    department  text NOT NULL,
    resource_id text,
    reason      text NOT NULL,
    digest      bytea NOT NULL,
    refused_at  timestamptz NOT NULL DEFAULT clock_timestamp()
);
-- A node that sends a refused batch again adds nothing to the log.
CREATE UNIQUE INDEX batch_refusal_once ON exchange.batch_refusal (department, coalesce(resource_id, ''), digest, reason);

-- The written form of a plain item, as `rules.normalise.normalise_text` makes it of a claim. Without a search path of its
-- own, so that it becomes a part of the statement that uses it instead of a call for each value.
CREATE FUNCTION exchange.written_form(p_value text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT pg_catalog.btrim(pg_catalog.regexp_replace(normalize(pg_catalog.translate(p_value,
        U&'\200B\200C\200D\200E\200F\202A\202B\202C\202D\202E\2060\FEFF\00AD', ''), NFKC), '\s+', ' ', 'g'))
$$;

-- A refused call is recorded with the same work as an answered one.
CREATE FUNCTION exchange.record_refusals(
    p_epoch bigint, p_id uuid[], p_at timestamptz[], p_event text[], p_department text[], p_provider text[],
    p_actor text[], p_resource text[], p_grant text[], p_case text[], p_outcome text[], p_body text[]
) RETURNS TABLE (ordinal int, epoch bigint, written boolean, digest bytea, found boolean, version int, matches jsonb, data jsonb)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    WITH call AS MATERIALIZED (
        SELECT c.*, array_position(p_id, c.id) = c.n AS is_first, uuid_send(gen_random_uuid()) AS salt
        FROM exchange.epoch e,
             unnest(p_id, p_at, p_event, p_department, p_provider, p_actor, p_resource, p_grant, p_case, p_outcome, p_body)
             WITH ORDINALITY AS c(id, at, event, department, provider, actor, resource, "grant", case_no, outcome, body, n)
        WHERE e.value = p_epoch),
    entry AS (
        INSERT INTO audit.entry (id, occurred_at, event, department, provider, actor, resource_id, grant_id, case_no,
                                 outcome, body, salt, digest)
        SELECT id, at, event, department, provider, actor, resource, "grant", case_no, outcome, body, salt,
               sha256(salt || convert_to(body, 'UTF8'))
        FROM call WHERE is_first ON CONFLICT (id) DO NOTHING RETURNING id, digest),
    queued AS (INSERT INTO audit.pending (entry_id, digest) SELECT id, digest FROM entry)
    SELECT call.n::int, p_epoch, entry.id IS NOT NULL, entry.digest, false, NULL::int, NULL::jsonb, NULL::jsonb
    FROM call LEFT JOIN entry ON entry.id = call.id AND call.is_first;
    IF NOT FOUND THEN
        RETURN QUERY SELECT 0, e.value, false, NULL::bytea, false, NULL::int, NULL::jsonb, NULL::jsonb FROM exchange.epoch e;
    END IF;
END $$;

CREATE FUNCTION exchange.refuse_batch(p_department text, p_resource text, p_reason text, p_digest bytea)
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
        p_reason, jsonb_build_object('event', 'batch_refused', 'id', v_id, 'at', v_at, 'department', p_department,
            'actor', 'system:loader', 'resource', p_resource, 'outcome', p_reason,
            'batch_digest', encode(p_digest, 'hex'))::text);
END $$;

CREATE FUNCTION exchange.store_receipt(p_department text, p_resource text, p_sequence bigint, p_receipt text)
RETURNS void LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog AS $$
    UPDATE exchange.batch SET receipt = p_receipt
    WHERE department = p_department AND resource_id = p_resource AND sequence = p_sequence AND receipt IS NULL
$$;

CREATE FUNCTION exchange.receipts_after(p_department text, p_resource text, p_sequence bigint)
RETURNS TABLE (sequence bigint, receipt text) LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog AS $$
    SELECT b.sequence, b.receipt FROM exchange.batch b
    WHERE b.department = p_department AND b.resource_id = p_resource AND b.sequence > p_sequence
    ORDER BY b.sequence LIMIT 100
$$;

CREATE FUNCTION exchange.last_sequence(p_department text, p_resource text)
RETURNS bigint LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog AS $$
    SELECT coalesce(max(b.sequence), 0) FROM exchange.batch b
    WHERE b.department = p_department AND b.resource_id = p_resource
$$;

REVOKE ALL ON ALL TABLES IN SCHEMA exchange FROM PUBLIC;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA exchange FROM PUBLIC;
GRANT USAGE ON SCHEMA exchange TO shuqiao_plane, shuqiao_loader, shuqiao_integrator, shuqiao_auditor;
GRANT USAGE ON SCHEMA staging TO shuqiao_loader;
GRANT EXECUTE ON FUNCTION exchange.contract_version() TO shuqiao_plane, shuqiao_loader;
GRANT SELECT ON exchange.application, exchange.resource, exchange."grant", exchange.signing_key, exchange.citation, exchange.epoch TO shuqiao_plane;
GRANT SELECT ON exchange.resource, exchange.node, exchange.signing_key TO shuqiao_loader;
GRANT SELECT ON exchange.signing_key TO shuqiao_integrator, shuqiao_auditor;
GRANT EXECUTE ON FUNCTION exchange.record_refusals TO shuqiao_plane;
GRANT EXECUTE ON FUNCTION exchange.refuse_batch, exchange.store_receipt, exchange.receipts_after, exchange.last_sequence TO shuqiao_loader;
