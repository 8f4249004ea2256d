-- Sessions and what confirms them. A session's calls carry a MAC, which proves nothing to a third party: the platform holds
-- the key too. So the application signs the list of a session's calls with its own key (a head), and gets no further
-- session while calls of an earlier one stand unsigned beyond the limit. Decision 21.

CREATE TABLE exchange.session (
    id          uuid PRIMARY KEY,
    application text NOT NULL,
    department  text NOT NULL,
    agreed_by   text NOT NULL,
    agreed_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    expires_at  timestamptz NOT NULL,
    settled     boolean NOT NULL DEFAULT false
);
CREATE INDEX session_unsettled ON exchange.session (application, expires_at) WHERE NOT settled;
COMMENT ON COLUMN exchange.session.settled IS 'It is over, and every call of it stands in a signed head.';

-- What an application signed, word for word: `body` names the calls, `covered` and `signature` are those of RFC 9421.
CREATE TABLE exchange.session_head (
    session     uuid NOT NULL REFERENCES exchange.session (id),
    digest      bytea NOT NULL CHECK (length(digest) = 32),
    received_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    confirmed   int[] NOT NULL,
    lost        int[] NOT NULL,
    body        text NOT NULL,
    covered     text NOT NULL,
    algorithm   text NOT NULL,
    signature   bytea NOT NULL,
    key_id      text NOT NULL,
    PRIMARY KEY (session, digest)
);
CREATE TRIGGER insert_only BEFORE UPDATE OR DELETE OR TRUNCATE ON exchange.session_head
    FOR EACH STATEMENT EXECUTE FUNCTION audit.refuse_change();

-- Public keys of applications outlive their use: a signature is checked long after the key was replaced.
CREATE TABLE exchange.application_key (
    id          text NOT NULL,
    application text NOT NULL,
    department  text NOT NULL,
    algorithm   text NOT NULL,
    public_key  bytea NOT NULL,
    since       timestamptz NOT NULL DEFAULT clock_timestamp(),
    certificate bytea,
    PRIMARY KEY (id, application)
);
ALTER TABLE exchange.signing_key ADD COLUMN certificate bytea;
CREATE FUNCTION exchange.keep_application_key() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
    INSERT INTO exchange.application_key (id, application, department, algorithm, public_key)
    VALUES (substr(encode(sha256(NEW.public_key), 'hex'), 1, 16), NEW.id, NEW.department, NEW.algorithm, NEW.public_key)
    ON CONFLICT DO NOTHING;
    RETURN NULL;
END $$;
CREATE TRIGGER keep_key AFTER INSERT OR UPDATE OF public_key ON exchange.application
    FOR EACH ROW EXECUTE FUNCTION exchange.keep_application_key();
INSERT INTO exchange.application_key (id, application, department, algorithm, public_key)
SELECT substr(encode(sha256(public_key), 'hex'), 1, 16), id, department, algorithm, public_key FROM exchange.application;

-- Promises as they were given, one row for each micro-batch that shares a signature. What they say of answers is sealed to
-- the vault: the digest of an answer tells its values to whoever can try out all of them.
CREATE TABLE exchange.promise (
    at        timestamptz NOT NULL,
    entries   uuid[] NOT NULL,
    key_id    text NOT NULL,
    signature bytea NOT NULL CHECK (length(signature) = 64),
    sealed    bytea NOT NULL
);
CREATE INDEX promise_by_time ON exchange.promise (at);

-- The entry of a session's call with this number; `wire.messages.session_entry_id` says the same.
CREATE FUNCTION exchange.session_entry(p_session uuid, p_number int) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$
    SELECT pg_catalog.encode(pg_catalog.substr(pg_catalog.uuid_send(p_session), 1, 6) || pg_catalog.substr(pg_catalog.sha256(
        pg_catalog.uuid_send(p_session) || pg_catalog.int4send(p_number)), 1, 10), 'hex')::uuid
$$;

-- The first and the last id that can begin as a session's does. All entries of its calls lie between them, and only those of
-- sessions agreed in the same second beside them. Whoever looks for them names both: else, with a plan made while the log was
-- small, the whole log would be read for each session.
CREATE FUNCTION exchange.first_beside(p_session uuid) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$
    SELECT pg_catalog.encode(pg_catalog.substr(pg_catalog.uuid_send(p_session), 1, 6) || '\x00000000000000000000'::bytea, 'hex')::uuid
$$;
CREATE FUNCTION exchange.last_beside(p_session uuid) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$
    SELECT pg_catalog.encode(pg_catalog.substr(pg_catalog.uuid_send(p_session), 1, 6) || '\xffffffffffffffffffff'::bytea, 'hex')::uuid
$$;

-- Calls of a session that are in the log and in no head.
CREATE FUNCTION exchange.unsigned_calls(p_session uuid) RETURNS int[]
LANGUAGE sql STABLE SET search_path = pg_catalog AS $$
    SELECT coalesce(array_agg(o.n ORDER BY o.n), '{}') FROM (
        SELECT n FROM generate_series(0, 999) n JOIN audit.entry e ON e.id = exchange.session_entry(p_session, n)
            AND e.id BETWEEN exchange.first_beside(p_session) AND exchange.last_beside(p_session)
        EXCEPT SELECT unnest(h.confirmed || h.lost) FROM exchange.session_head h WHERE h.session = p_session) o
$$;

-- Enters a new session, or says which sessions stand in its way: those that ended longer ago than the limit and have calls
-- that nobody signed. `outcome` is agreed, replayed or unsigned. The entry's id comes from the signature: it serves once.
CREATE FUNCTION exchange.agree_session(
    p_entry uuid, p_session uuid, p_application text, p_department text, p_agreed_by text, p_expires_at timestamptz, p_limit_s int
) RETURNS TABLE (outcome text, sessions uuid[])
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
    v_at timestamptz := clock_timestamp();
    v_open uuid[];
BEGIN
    IF EXISTS (SELECT FROM audit.entry e WHERE e.id = p_entry) THEN
        RETURN QUERY SELECT 'replayed', '{}'::uuid[];
        RETURN;
    END IF;
    -- A bounded part of them each time, the oldest first, or many short sessions would cost an agreement more than its time.
    WITH oldest AS MATERIALIZED (
        SELECT s.id, exchange.unsigned_calls(s.id) = '{}' AS signed FROM (
            SELECT o.id, o.expires_at FROM exchange.session o
            WHERE o.application = p_application AND NOT o.settled AND o.expires_at < v_at - make_interval(secs => p_limit_s)
            ORDER BY o.expires_at LIMIT 50) s),
    settled AS (UPDATE exchange.session s SET settled = true FROM oldest o WHERE s.id = o.id AND o.signed)
    SELECT array_agg(o.id) INTO v_open FROM oldest o WHERE NOT o.signed;
    IF v_open IS NOT NULL THEN
        RETURN QUERY SELECT 'unsigned', v_open;
        RETURN;
    END IF;
    INSERT INTO exchange.session (id, application, department, agreed_by, agreed_at, expires_at)
    VALUES (p_session, p_application, p_department, p_agreed_by, v_at, p_expires_at);
    PERFORM audit.append(p_entry, v_at, 'session_agreed', p_department, NULL, p_application, NULL, NULL, NULL, NULL, 'agreed',
        jsonb_build_object('event', 'session_agreed', 'id', p_entry, 'at', v_at, 'department', p_department,
            'actor', p_application, 'outcome', 'agreed', 'session', p_session, 'key', p_agreed_by, 'expires_at', p_expires_at)::text);
    RETURN QUERY SELECT 'agreed', '{}'::uuid[];
EXCEPTION WHEN unique_violation THEN
    RETURN QUERY SELECT 'replayed', '{}'::uuid[];
END $$;

-- Keeps a signed head. A call it names counts as confirmed where its entry holds the same digest of the signed request;
-- one whose entry holds another refuses the whole head. With `p_lost` every other call of the session is given up: the
-- application has no record of it and says so. Repeated, it changes nothing. `outcome` is kept, unknown or contradicted.
CREATE FUNCTION exchange.keep_head(
    p_session uuid, p_application text, p_numbers int[], p_requests bytea[], p_lost boolean, p_body text, p_digest bytea,
    p_covered text, p_algorithm text, p_signature bytea, p_key_id text
) RETURNS TABLE (outcome text, confirmed int, numbers int[])
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
    v_at timestamptz := clock_timestamp();
    v_id uuid := audit.new_id();
    v_department text;
    v_false int[];
    v_confirmed int[];
    v_lost int[] := '{}';
BEGIN
    SELECT s.department INTO v_department FROM exchange.session s
    WHERE s.id = p_session AND s.application = p_application FOR UPDATE;
    IF NOT FOUND THEN
        RETURN QUERY SELECT 'unknown', 0, '{}'::int[];
        RETURN;
    END IF;
    SELECT array_agg(c.n ORDER BY c.n) FILTER (WHERE c.same), array_agg(c.n ORDER BY c.n) FILTER (WHERE NOT c.same)
    INTO v_confirmed, v_false
    FROM (SELECT g.n, coalesce(strpos(e.body, '"request":"' || encode(g.request, 'hex') || '"') > 0, false) AS same
          FROM unnest(p_numbers, p_requests) AS g(n, request)
          JOIN audit.entry e ON e.id = exchange.session_entry(p_session, g.n)
              AND e.id BETWEEN exchange.first_beside(p_session) AND exchange.last_beside(p_session)) c;
    IF v_false IS NOT NULL THEN
        RETURN QUERY SELECT 'contradicted', 0, v_false;
        RETURN;
    END IF;
    v_confirmed := coalesce(v_confirmed, '{}');
    IF p_lost THEN
        SELECT coalesce(array_agg(n), '{}') INTO v_lost FROM unnest(exchange.unsigned_calls(p_session)) n
        WHERE n <> ALL (v_confirmed);
    END IF;
    INSERT INTO exchange.session_head (session, digest, received_at, confirmed, lost, body, covered, algorithm, signature, key_id)
    VALUES (p_session, p_digest, v_at, v_confirmed, v_lost, p_body, p_covered, p_algorithm, p_signature, p_key_id)
    ON CONFLICT DO NOTHING;
    IF FOUND THEN
        PERFORM audit.append(v_id, v_at, 'session_signed', v_department, NULL, p_application, NULL, NULL, NULL, NULL,
            CASE WHEN v_lost = '{}' THEN 'confirmed' ELSE 'unconfirmed' END,
            jsonb_build_object('event', 'session_signed', 'id', v_id, 'at', v_at, 'department', v_department,
                'actor', p_application, 'outcome', CASE WHEN v_lost = '{}' THEN 'confirmed' ELSE 'unconfirmed' END,
                'session', p_session, 'key', p_key_id, 'head', encode(p_digest, 'hex'),
                'confirmed', cardinality(v_confirmed), 'lost', cardinality(v_lost))::text);
    END IF;
    RETURN QUERY SELECT 'kept', cardinality(v_confirmed), exchange.unsigned_calls(p_session);
END $$;

-- Keeps promises that were given. Not waited for by any caller, who has the promise already: a flush of its own would be
-- all its cost.
CREATE FUNCTION exchange.keep_promises(p_at timestamptz[], p_entries text[], p_key_id text[], p_signature bytea[], p_sealed bytea[])
RETURNS void LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog SET synchronous_commit = off AS $$
    INSERT INTO exchange.promise (at, entries, key_id, signature, sealed)
    SELECT p.at, p.entries::uuid[], p.key_id, p.signature, p.sealed
    FROM unnest(p_at, p_entries, p_key_id, p_signature, p_sealed) AS p(at, entries, key_id, signature, sealed)
$$;

REVOKE ALL ON exchange.session, exchange.session_head, exchange.application_key, exchange.promise FROM PUBLIC;
REVOKE ALL ON FUNCTION exchange.keep_application_key, exchange.session_entry, exchange.first_beside, exchange.last_beside,
    exchange.unsigned_calls, exchange.agree_session, exchange.keep_head, exchange.keep_promises FROM PUBLIC;
GRANT EXECUTE ON FUNCTION exchange.agree_session, exchange.keep_head, exchange.keep_promises TO shuqiao_plane;
