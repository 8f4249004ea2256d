-- Admission of nodes over the network: one-use tokens, what nodes ask with them, and users of NATS that count no more.
-- No row can be used in place of a token: `verifier` is the public half of a key made from its secret, `answer_key` another
-- one-way value of it. Times are the database's: nodes live in real time, also where a sample city plays days ahead.

ALTER TABLE exchange.node ADD COLUMN admitted jsonb;
COMMENT ON COLUMN exchange.node.admitted IS 'What the node was last told of its resources: a digest of each spec.';

CREATE TABLE exchange.enrolment_token (
    id             uuid PRIMARY KEY,
    department     text NOT NULL CHECK (length(department) BETWEEN 1 AND 60),
    verifier       bytea NOT NULL CHECK (octet_length(verifier) = 32),
    answer_key     bytea NOT NULL CHECK (octet_length(answer_key) = 32),
    made_by        text NOT NULL CHECK (length(made_by) BETWEEN 1 AND 150),
    made_at        timestamptz NOT NULL DEFAULT clock_timestamp(),
    valid_until    timestamptz NOT NULL DEFAULT clock_timestamp() + interval '72 hours',
    withdrawn_at   timestamptz,
    request        bytea CHECK (octet_length(request) <= 4096),
    signing_key    bytea,
    nats_user      text,
    round          integer NOT NULL DEFAULT 0,
    other_key      bytea,
    admitted_round integer NOT NULL DEFAULT 0,
    admitted_at    timestamptz,
    admission      bytea CHECK (octet_length(admission) <= 4194304),
    mac            bytea,
    fault          text CHECK (length(fault) <= 60),
    CHECK ((round = 0) = (request IS NULL) AND (request IS NULL) = (signing_key IS NULL) AND (request IS NULL) = (nats_user IS NULL)),
    CHECK (admitted_round <= round)
);
CREATE INDEX enrolment_token_waiting ON exchange.enrolment_token (id) WHERE round > admitted_round AND withdrawn_at IS NULL;

CREATE TABLE exchange.revoked_user (
    nats_user   text PRIMARY KEY,
    department  text NOT NULL,
    signing_key bytea NOT NULL,
    revoked_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    pushed_at   timestamptz
);
COMMENT ON TABLE exchange.revoked_user IS 'Users of nodes that count no more; pushed_at is when the message server was told.';

CREATE FUNCTION exchange.resource_digests(p_department text) RETURNS jsonb
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog AS $$
    SELECT coalesce(jsonb_object_agg(r.id, md5(r.spec::text)), '{}') FROM exchange.resource r
    WHERE r.department = p_department AND r.active
$$;

CREATE FUNCTION exchange.make_enrolment_token(
    p_id uuid, p_department text, p_verifier bytea, p_answer_key bytea, p_by text, p_at timestamptz
) RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
    v_entry uuid := audit.new_id();
    v_until timestamptz;
BEGIN
    INSERT INTO exchange.enrolment_token (id, department, verifier, answer_key, made_by)
    VALUES (p_id, p_department, p_verifier, p_answer_key, p_by) RETURNING valid_until INTO v_until;
    PERFORM audit.append(v_entry, p_at, 'node_token_made', p_department, p_department, 'account:' || p_by, NULL, NULL, NULL,
        NULL, 'made', jsonb_build_object('event', 'node_token_made', 'id', v_entry, 'at', p_at, 'department', p_department,
            'provider', p_department, 'actor', 'account:' || p_by, 'outcome', 'made', 'token', p_id, 'valid_until', v_until)::text);
END $$;

-- Takes a token back: nothing is admitted or told with it any more. False where that is so already.
CREATE FUNCTION exchange.withdraw_enrolment_token(p_id uuid, p_by text, p_at timestamptz) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
    v_entry uuid := audit.new_id();
    v_department text;
BEGIN
    UPDATE exchange.enrolment_token t SET withdrawn_at = clock_timestamp()
    WHERE t.id = p_id AND t.withdrawn_at IS NULL RETURNING t.department INTO v_department;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    PERFORM audit.append(v_entry, p_at, 'node_token_withdrawn', v_department, v_department, 'account:' || p_by, NULL, NULL,
        NULL, NULL, 'withdrawn', jsonb_build_object('event', 'node_token_withdrawn', 'id', v_entry, 'at', p_at,
            'department', v_department, 'provider', v_department, 'actor', 'account:' || p_by, 'outcome', 'withdrawn',
            'token', p_id)::text);
    RETURN true;
END $$;

-- Takes what a node asks with a token whose proof was checked, and says how far it is: waiting, admitted, used (by other
-- keys), not_in_use (its node was revoked) or unusable. The first keys that come with a token are the only ones.
CREATE FUNCTION exchange.ask_enrolment(
    p_id uuid, p_signing_key bytea, p_nats_user text, p_round integer, p_request bytea
) RETURNS text LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
    v exchange.enrolment_token;
    v_entry uuid := audit.new_id();
    v_at timestamptz := clock_timestamp();
BEGIN
    SELECT t.* INTO v FROM exchange.enrolment_token t WHERE t.id = p_id FOR UPDATE;
    IF NOT FOUND OR v.withdrawn_at IS NOT NULL OR v.fault IS NOT NULL OR v.request IS NULL AND v.valid_until < v_at THEN
        RETURN 'unusable';
    END IF;
    IF EXISTS (SELECT FROM exchange.revoked_user u WHERE u.nats_user = p_nats_user OR u.signing_key = p_signing_key) THEN
        RETURN 'not_in_use';
    END IF;
    IF v.signing_key <> p_signing_key OR v.nats_user <> p_nats_user THEN
        IF v.other_key IS DISTINCT FROM p_signing_key THEN
            UPDATE exchange.enrolment_token t SET other_key = p_signing_key WHERE t.id = p_id;
            PERFORM audit.append(v_entry, v_at, 'node_enrolment_refused', v.department, v.department, 'node:' || v.department,
                NULL, NULL, NULL, NULL, 'used', jsonb_build_object('event', 'node_enrolment_refused', 'id', v_entry, 'at', v_at,
                    'department', v.department, 'provider', v.department, 'actor', 'node:' || v.department, 'outcome', 'used',
                    'token', p_id, 'nats_user', p_nats_user)::text);
        END IF;
        RETURN 'used';
    END IF;
    IF p_round <= v.round THEN
        RETURN CASE WHEN v.admitted_round = v.round THEN 'admitted' ELSE 'waiting' END;
    END IF;
    UPDATE exchange.enrolment_token t SET signing_key = p_signing_key, nats_user = p_nats_user, round = p_round, request = p_request
    WHERE t.id = p_id;
    PERFORM audit.append(v_entry, v_at, 'node_enrolment_asked', v.department, v.department, 'node:' || v.department, NULL, NULL,
        NULL, NULL, 'asked', jsonb_build_object('event', 'node_enrolment_asked', 'id', v_entry, 'at', v_at,
            'department', v.department, 'provider', v.department, 'actor', 'node:' || v.department, 'outcome', 'asked',
            'token', p_id, 'nats_user', p_nats_user, 'round', p_round)::text);
    PERFORM pg_notify('exchange_enrolment', '');
    RETURN 'waiting';
END $$;

-- Notes that a user counts no more; whoever keeps the message server's accounts is woken to tell it.
CREATE FUNCTION exchange.retire_user(p_department text) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
    v_user text;
BEGIN
    INSERT INTO exchange.revoked_user (nats_user, department, signing_key)
    SELECT n.nats_user, n.department, n.public_key FROM exchange.node n WHERE n.department = p_department
    ON CONFLICT DO NOTHING RETURNING nats_user INTO v_user;
    PERFORM pg_notify('exchange_enrolment', '');
    RETURN v_user;
END $$;

-- Registers a node's keys. Keys it had before count no more; keys that were revoked never count again.
CREATE FUNCTION exchange.admit_node(p_department text, p_name text, p_signing_key bytea, p_nats_user text, p_actor text)
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
    v_entry uuid := audit.new_id();
    v_at timestamptz := clock_timestamp();
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('exchange.node'), hashtext(p_department));
    IF EXISTS (SELECT FROM exchange.revoked_user u WHERE u.nats_user = p_nats_user OR u.signing_key = p_signing_key) THEN
        RAISE EXCEPTION 'these keys were revoked' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF EXISTS (SELECT FROM exchange.node n WHERE n.department = p_department AND n.nats_user <> p_nats_user) THEN
        PERFORM exchange.retire_user(p_department);
    END IF;
    INSERT INTO exchange.node AS n (department, name, public_key, nats_user, active, admitted)
    VALUES (p_department, p_name, p_signing_key, p_nats_user, true, exchange.resource_digests(p_department))
    ON CONFLICT (department) DO UPDATE SET name = excluded.name, public_key = excluded.public_key,
        nats_user = excluded.nats_user, active = true, admitted = excluded.admitted;
    PERFORM audit.append(v_entry, v_at, 'department_enrolled', p_department, NULL, p_actor, NULL, NULL, NULL, NULL, 'enrolled',
        jsonb_build_object('event', 'department_enrolled', 'id', v_entry, 'at', v_at, 'department', p_department,
            'actor', p_actor, 'outcome', 'enrolled', 'nats_user', p_nats_user)::text);
END $$;

-- Takes a department's node out of use at once: its batches and reports are refused from here on, and the message server
-- is told to cut its connection. False where there is no node in use.
CREATE FUNCTION exchange.revoke_node(p_department text, p_by text, p_reason text, p_at timestamptz) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
    v_entry uuid := audit.new_id();
    v_user text;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('exchange.node'), hashtext(p_department));
    UPDATE exchange.node n SET active = false WHERE n.department = p_department AND n.active RETURNING n.nats_user INTO v_user;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    PERFORM exchange.retire_user(p_department);
    UPDATE exchange.enrolment_token t SET withdrawn_at = clock_timestamp()
    WHERE t.department = p_department AND t.request IS NOT NULL AND t.withdrawn_at IS NULL;
    PERFORM audit.append(v_entry, p_at, 'node_revoked', p_department, p_department, 'account:' || p_by, NULL, NULL, NULL, NULL,
        'revoked', jsonb_build_object('event', 'node_revoked', 'id', v_entry, 'at', p_at, 'department', p_department,
            'provider', p_department, 'actor', 'account:' || p_by, 'outcome', 'revoked', 'nats_user', v_user,
            'reason', p_reason)::text);
    RETURN true;
END $$;

REVOKE ALL ON exchange.enrolment_token, exchange.revoked_user FROM PUBLIC;
REVOKE ALL ON FUNCTION exchange.resource_digests, exchange.make_enrolment_token, exchange.withdraw_enrolment_token,
    exchange.ask_enrolment, exchange.retire_user, exchange.admit_node, exchange.revoke_node FROM PUBLIC;
GRANT EXECUTE ON FUNCTION exchange.resource_digests, exchange.make_enrolment_token, exchange.withdraw_enrolment_token,
    exchange.ask_enrolment, exchange.revoke_node TO shuqiao_control;
GRANT SELECT (id, department, verifier, made_by, made_at, valid_until, withdrawn_at, signing_key, nats_user, round, other_key,
    admitted_round, admitted_at, admission, mac, fault) ON exchange.enrolment_token TO shuqiao_control;
GRANT SELECT (nats_user, admitted) ON exchange.node TO shuqiao_control;
GRANT SELECT ON exchange.revoked_user TO shuqiao_control;

-- The process that admits has a role of its own: it owns nothing and reads no base table.
GRANT USAGE ON SCHEMA exchange TO shuqiao_admitting;
GRANT SELECT ON exchange.enrolment_token, exchange.revoked_user, exchange.resource, exchange.signing_key TO shuqiao_admitting;
GRANT UPDATE (admitted_round, admitted_at, admission, mac, fault) ON exchange.enrolment_token TO shuqiao_admitting;
GRANT UPDATE (pushed_at) ON exchange.revoked_user TO shuqiao_admitting;
GRANT EXECUTE ON FUNCTION exchange.admit_node TO shuqiao_admitting;
