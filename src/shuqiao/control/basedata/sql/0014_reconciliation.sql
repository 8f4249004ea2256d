-- Holding what is shared against what its department has: who asked, how far it is, what was found. And removals that a node
-- holds back because they are too many, until a person lets them through.

CREATE TABLE exchange.reconciliation (
    id           uuid PRIMARY KEY,
    department   text NOT NULL REFERENCES exchange.node (department),
    resource_id  text NOT NULL REFERENCES exchange.resource (id),
    asked_by     text NOT NULL CHECK (length(asked_by) BETWEEN 1 AND 200),
    asked_at     timestamptz NOT NULL,
    -- The hub's half of what keys the digests. It serves for this comparison only.
    salt         bytea NOT NULL CHECK (length(salt) = 32),
    state        text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'agreed', 'differs', 'failed', 'withdrawn')),
    failure      text CHECK (length(failure) BETWEEN 1 AND 40),
    phase        text NOT NULL DEFAULT 'asked' CHECK (phase ~ '^[a-z_]{1,40}$'),
    done         bigint NOT NULL DEFAULT 0,
    total        bigint NOT NULL DEFAULT 0,
    heard_at     timestamptz,
    run          text,
    runs         int NOT NULL DEFAULT 0,
    step         int NOT NULL DEFAULT 0,
    message      bytea CHECK (length(message) <= 921600),
    answer       jsonb,
    work         jsonb NOT NULL DEFAULT '{}',
    mapping      text,
    ranges       int,
    source_rows  bigint,
    shared_rows  bigint,
    -- Each differing range: its number, rows here and there, what became of it.
    differing    jsonb NOT NULL DEFAULT '[]',
    moving       int NOT NULL DEFAULT 0,
    sampled      int NOT NULL DEFAULT 0,
    sample_agrees int NOT NULL DEFAULT 0,
    found        int NOT NULL DEFAULT 0,
    is_complete  boolean NOT NULL DEFAULT true,
    finished_at  timestamptz,
    told_at      timestamptz,
    mend_asked_at timestamptz,
    mended_at    timestamptz,
    mended_rows  bigint,
    -- Why and when the ranges could not be sent again, where that was asked for last.
    mend_failure text CHECK (length(mend_failure) BETWEEN 1 AND 40),
    mend_failed_at timestamptz,
    CHECK ((mend_failure IS NULL) = (mend_failed_at IS NULL)),
    CHECK ((state = 'open') = (finished_at IS NULL)),
    CHECK ((state = 'failed') = (failure IS NOT NULL))
);
COMMENT ON TABLE exchange.reconciliation IS 'The ledger of reconciliations, in real time like that of batches; message and answer are the step under way, work what the loader knows of it.';
CREATE UNIQUE INDEX one_reconciliation ON exchange.reconciliation (resource_id) WHERE state = 'open';
CREATE INDEX reconciliation_by_resource ON exchange.reconciliation (resource_id, asked_at DESC);
CREATE INDEX reconciliation_untold ON exchange.reconciliation (finished_at) WHERE told_at IS NULL AND state <> 'open';
CREATE INDEX reconciliation_mending ON exchange.reconciliation (department) WHERE mend_asked_at IS NOT NULL AND mended_at IS NULL;

CREATE TABLE exchange.reconciliation_difference (
    reconciliation uuid NOT NULL REFERENCES exchange.reconciliation (id) ON DELETE CASCADE,
    number         int NOT NULL CHECK (number BETWEEN 1 AND 1000),
    kind           text NOT NULL CHECK (kind IN ('absent_here', 'absent_there', 'differs', 'unknown')),
    shown          text NOT NULL CHECK (length(shown) <= 64),
    record_id      uuid,
    items          text[] NOT NULL DEFAULT '{}',
    PRIMARY KEY (reconciliation, number)
);
COMMENT ON COLUMN exchange.reconciliation_difference.shown IS 'The record key, masked.';

ALTER TABLE exchange.node_order ADD COLUMN let_through bigint NOT NULL DEFAULT 0,
    ADD COLUMN let_rows bigint NOT NULL DEFAULT 0 CHECK (let_rows >= 0);
COMMENT ON COLUMN exchange.node_order.let_through IS 'Counts the words by which a person let removals through that the node held back; let_rows is the number the last was about.';

-- The entry of a reconciliation as it now stands: asked for, ended, or its ranges sent again.
CREATE FUNCTION exchange.note_reconciliation(p_id uuid, p_outcome text, p_actor text, p_at timestamptz)
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
    v_entry uuid := audit.new_id();
    v exchange.reconciliation;
BEGIN
    SELECT r.* INTO STRICT v FROM exchange.reconciliation r WHERE r.id = p_id;
    PERFORM audit.append(v_entry, p_at, CASE WHEN v.finished_at IS NULL THEN 'reconciliation_asked'
            WHEN v.mend_asked_at IS NULL THEN 'reconciliation_ended' ELSE 'reconciliation_mended' END,
        v.department, v.department, p_actor, v.resource_id, NULL, NULL, NULL, p_outcome,
        jsonb_build_object('event', CASE WHEN v.finished_at IS NULL THEN 'reconciliation_asked'
            WHEN v.mend_asked_at IS NULL THEN 'reconciliation_ended' ELSE 'reconciliation_mended' END,
            'id', v_entry, 'at', p_at, 'department', v.department, 'provider', v.department,
            'actor', p_actor, 'resource', v.resource_id, 'outcome', p_outcome, 'reconciliation', v.id, 'source_rows', v.source_rows,
            'shared_rows', v.shared_rows, 'differences', CASE WHEN v.state IN ('agreed', 'differs') THEN v.found END,
            'sampled', CASE WHEN v.state IN ('agreed', 'differs') THEN v.sampled END, 'failure', coalesce(v.failure, v.mend_failure))::text);
END $$;

-- Asks for a reconciliation. Null where one is open already.
CREATE FUNCTION exchange.ask_reconciliation(p_id uuid, p_department text, p_resource text, p_actor text, p_at timestamptz)
RETURNS uuid LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM exchange.node n WHERE n.department = p_department AND n.active)
       OR NOT EXISTS (SELECT FROM exchange.resource r WHERE r.id = p_resource AND r.department = p_department AND r.active) THEN
        RAISE EXCEPTION 'no such node or resource' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    INSERT INTO exchange.reconciliation (id, department, resource_id, asked_by, asked_at, salt)
    VALUES (p_id, p_department, p_resource, p_actor, clock_timestamp(), uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()))
    ON CONFLICT (resource_id) WHERE state = 'open' DO NOTHING;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    PERFORM exchange.note_reconciliation(p_id, 'asked', p_actor, p_at);
    RETURN p_id;
END $$;

CREATE FUNCTION exchange.close_reconciliation(p_id uuid, p_state text, p_failure text, p_actor text, p_at timestamptz)
RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
    UPDATE exchange.reconciliation r
    SET state = p_state, failure = p_failure, finished_at = clock_timestamp(), message = NULL, answer = NULL, work = '{}'
    WHERE r.id = p_id AND r.state = 'open';
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    PERFORM exchange.note_reconciliation(p_id, p_state, p_actor, p_at);
    RETURN true;
END $$;

CREATE FUNCTION exchange.withdraw_reconciliation(p_id uuid, p_actor text, p_at timestamptz)
RETURNS boolean LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog AS $$
    SELECT exchange.close_reconciliation(p_id, 'withdrawn', NULL, p_actor, p_at)
$$;

-- Ends those of which nothing was heard for so long; returns how many.
CREATE FUNCTION exchange.expire_reconciliations(p_after interval) RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog AS $$
    SELECT count(*) FROM exchange.reconciliation r, LATERAL exchange.close_reconciliation(
        r.id, 'failed', 'silent', 'system:worker', clock_timestamp()) AS closed
    WHERE r.state = 'open' AND coalesce(r.heard_at, r.asked_at) < clock_timestamp() - p_after AND closed
$$;

-- Asks the node to send the rows of the differing ranges once more. False where it can't be asked.
CREATE FUNCTION exchange.mend_reconciliation(p_id uuid, p_actor text, p_at timestamptz)
RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
    UPDATE exchange.reconciliation r SET mend_asked_at = clock_timestamp(), mend_failure = NULL, mend_failed_at = NULL
    WHERE r.id = p_id AND r.state = 'differs' AND r.mend_asked_at IS NULL AND r.differing <> '[]';
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    PERFORM exchange.note_reconciliation(p_id, 'asked', p_actor, p_at);
    RETURN true;
END $$;

-- Takes a step of a node and says what was answered, null where nothing was yet. The same step may come as often as it likes.
CREATE FUNCTION exchange.take_reconciliation_step(p_department text, p_resource text, p_id uuid, p_run text, p_step int, p_message bytea)
RETURNS jsonb LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
    v exchange.reconciliation;
BEGIN
    SELECT r.* INTO v FROM exchange.reconciliation r
    WHERE r.id = p_id AND r.department = p_department AND r.resource_id = p_resource FOR UPDATE;
    IF NOT FOUND OR v.state <> 'open' THEN
        RETURN '{"state": "over"}';
    END IF;
    UPDATE exchange.reconciliation r SET heard_at = clock_timestamp() WHERE r.id = p_id;
    IF v.run IS NOT DISTINCT FROM p_run AND v.step = p_step THEN
        RETURN v.answer;
    ELSIF p_step = 1 AND v.runs >= 100 THEN
        PERFORM exchange.close_reconciliation(p_id, 'failed', 'too_often', 'node:' || p_department, clock_timestamp());
        RETURN '{"state": "over"}';
    ELSIF p_step = 1 THEN
        -- The node began anew, whatever was known of the run before.
        DELETE FROM exchange.reconciliation_difference d WHERE d.reconciliation = p_id;
        UPDATE exchange.reconciliation r
        SET run = p_run, runs = r.runs + 1, step = 1, message = p_message, answer = NULL, work = '{}', phase = 'comparing', done = 0,
            differing = '[]', moving = 0, sampled = 0, sample_agrees = 0, found = 0, is_complete = true
        WHERE r.id = p_id;
        RETURN NULL;
    ELSIF v.run = p_run AND p_step = v.step + 1 AND v.answer IS NOT NULL THEN
        UPDATE exchange.reconciliation r SET step = p_step, message = p_message, answer = NULL, phase = 'narrowing', done = 0
        WHERE r.id = p_id;
        RETURN NULL;
    END IF;
    RETURN '{"state": "again"}';
END $$;

-- The node says how far it is in reading; false where nothing is wanted of it.
CREATE FUNCTION exchange.follow_reconciliation(p_department text, p_id uuid, p_phase text, p_done bigint)
RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
    UPDATE exchange.reconciliation r SET heard_at = clock_timestamp(), phase = p_phase, done = p_done, total = greatest(r.total, p_done)
    WHERE r.id = p_id AND r.department = p_department AND r.state = 'open';
    RETURN FOUND;
END $$;

-- The node can't compare, or can't send the ranges again: then both sides are told, and a person may ask for that once more.
CREATE FUNCTION exchange.fail_reconciliation(p_department text, p_id uuid, p_code text)
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
    PERFORM FROM exchange.reconciliation r WHERE r.id = p_id AND r.department = p_department
        AND r.mend_asked_at IS NOT NULL AND r.mended_at IS NULL FOR UPDATE;
    IF FOUND THEN
        UPDATE exchange.reconciliation r SET mend_failure = p_code, mend_failed_at = clock_timestamp(), told_at = NULL WHERE r.id = p_id;
        PERFORM exchange.note_reconciliation(p_id, 'failed', 'node:' || p_department, clock_timestamp());
        UPDATE exchange.reconciliation r SET mend_asked_at = NULL WHERE r.id = p_id;
    ELSIF EXISTS (SELECT FROM exchange.reconciliation r WHERE r.id = p_id AND r.department = p_department) THEN
        PERFORM exchange.close_reconciliation(p_id, 'failed', p_code, 'node:' || p_department, clock_timestamp());
    END IF;
END $$;

CREATE FUNCTION exchange.end_mending(p_department text, p_id uuid, p_rows bigint)
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
    UPDATE exchange.reconciliation r SET mended_at = clock_timestamp(), mended_rows = p_rows
    WHERE r.id = p_id AND r.department = p_department AND r.mend_asked_at IS NOT NULL AND r.mended_at IS NULL;
    IF FOUND THEN
        PERFORM exchange.note_reconciliation(p_id, 'mended', 'node:' || p_department, clock_timestamp());
    END IF;
END $$;

-- What the loader reads while a reconciliation is open: the shared rows, page by page or by their records.
CREATE FUNCTION exchange.reconciliation_rows(p_id uuid, p_after uuid, p_records uuid[], p_limit int)
RETURNS TABLE (record_id uuid, batch_sequence bigint, data json)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog SET timezone = 'UTC' SET datestyle = 'ISO' AS $$
DECLARE
    v_resource text;
    v_items text;
BEGIN
    SELECT r.resource_id INTO v_resource FROM exchange.reconciliation r WHERE r.id = p_id AND r.state = 'open';
    IF NOT FOUND THEN
        RAISE EXCEPTION 'no such reconciliation is open' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    SELECT string_agg(format('b.%I', i ->> 'field'), ', ' ORDER BY n) INTO v_items
    FROM exchange.resource r, jsonb_array_elements(r.spec -> 'items') WITH ORDINALITY AS e(i, n)
    WHERE r.id = v_resource AND NOT coalesce((i ->> 'identity')::boolean, false);
    RETURN QUERY EXECUTE format(
        'SELECT b.record_id, b.batch_sequence, (SELECT row_to_json(i) FROM (SELECT %s) i) FROM base.%I b
         WHERE ($1 IS NULL OR b.record_id > $1) AND ($2 IS NULL OR b.record_id = ANY($2)) ORDER BY b.record_id LIMIT $3',
        coalesce(v_items, 'NULL AS nothing'), v_resource) USING p_after, p_records, least(p_limit, 10000);
END $$;

-- How many rows are shared, and which left the list since a batch.
CREATE FUNCTION exchange.reconciliation_counts(p_id uuid) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
    v_resource text;
    v_rows bigint;
BEGIN
    SELECT r.resource_id INTO STRICT v_resource FROM exchange.reconciliation r WHERE r.id = p_id AND r.state = 'open';
    EXECUTE format('SELECT count(*) FROM base.%I', v_resource) INTO v_rows;
    RETURN v_rows;
END $$;

CREATE FUNCTION exchange.reconciliation_gone(p_id uuid, p_sequence bigint) RETURNS TABLE (record_id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog AS $$
    SELECT DISTINCT d.record_id FROM exchange.reconciliation r
    JOIN exchange.removal d ON d.resource_id = r.resource_id AND d.batch_sequence >= p_sequence
    WHERE r.id = p_id AND r.state = 'open' LIMIT 10000
$$;

-- The step that waits longest for the loader, of departments that none is answered for now.
CREATE FUNCTION exchange.reconciliation_waiting(p_but text[])
RETURNS TABLE (id uuid, department text, resource_id text, salt bytea, run text, step int, message bytea, work jsonb)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog AS $$
    SELECT r.id, r.department, r.resource_id, r.salt, r.run, r.step, r.message, r.work FROM exchange.reconciliation r
    WHERE r.state = 'open' AND r.message IS NOT NULL AND r.answer IS NULL AND r.department <> ALL (p_but)
    ORDER BY r.asked_at, r.id LIMIT 1
$$;

CREATE FUNCTION exchange.progress_reconciliation(p_id uuid, p_run text, p_step int, p_done bigint, p_total bigint)
RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
    UPDATE exchange.reconciliation r SET done = p_done, total = p_total, heard_at = clock_timestamp()
    WHERE r.id = p_id AND r.run = p_run AND r.step = p_step AND r.state = 'open';
    RETURN FOUND;
END $$;

-- Keeps what a step found and answers it; the last one ends the reconciliation. Nothing is kept where the node began anew.
CREATE FUNCTION exchange.answer_reconciliation(p_id uuid, p_run text, p_step int, p_answer jsonb, p_work jsonb, p_facts jsonb, p_differences jsonb)
RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
    v_had int;
BEGIN
    PERFORM FROM exchange.reconciliation r
    WHERE r.id = p_id AND r.run = p_run AND r.step = p_step AND r.state = 'open' AND r.answer IS NULL FOR UPDATE;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    SELECT coalesce(max(d.number), 0) INTO v_had FROM exchange.reconciliation_difference d WHERE d.reconciliation = p_id;
    INSERT INTO exchange.reconciliation_difference (reconciliation, number, kind, shown, record_id, items)
    SELECT p_id, v_had + n, d ->> 'kind', d ->> 'shown', (d ->> 'record')::uuid,
           ARRAY(SELECT jsonb_array_elements_text(d -> 'items'))
    FROM jsonb_array_elements(p_differences) WITH ORDINALITY AS e(d, n) WHERE v_had + n <= 1000;
    UPDATE exchange.reconciliation r
    SET answer = p_answer, message = NULL, work = p_work, heard_at = clock_timestamp(),
        mapping = coalesce(p_facts ->> 'mapping', r.mapping), ranges = coalesce((p_facts ->> 'ranges')::int, r.ranges),
        source_rows = coalesce((p_facts ->> 'source_rows')::bigint, r.source_rows),
        shared_rows = coalesce((p_facts ->> 'shared_rows')::bigint, r.shared_rows),
        differing = coalesce(p_facts -> 'differing', r.differing),
        moving = r.moving + coalesce((p_facts ->> 'moving')::int, 0),
        sampled = coalesce((p_facts ->> 'sampled')::int, r.sampled),
        sample_agrees = coalesce((p_facts ->> 'sample_agrees')::int, r.sample_agrees),
        found = r.found + coalesce((p_facts ->> 'found')::int, 0),
        is_complete = r.is_complete AND coalesce((p_facts ->> 'is_complete')::boolean, true)
    WHERE r.id = p_id;
    IF p_answer ->> 'state' = 'over' THEN
        PERFORM exchange.close_reconciliation(p_id,
            CASE WHEN p_facts ? 'failure' THEN 'failed' WHEN (p_facts ->> 'agrees')::boolean THEN 'agreed' ELSE 'differs' END,
            p_facts ->> 'failure', 'system:loader', clock_timestamp());
    END IF;
    RETURN true;
END $$;

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
                'reloads', coalesce(jsonb_object_agg(o.resource_id, o.reload) FILTER (WHERE o.reload > 0), '{}'),
                'let_through', coalesce(jsonb_object_agg(o.resource_id, jsonb_build_object(
                    'number', o.let_through, 'rows', o.let_rows)) FILTER (WHERE o.let_through > 0), '{}'))
            FROM exchange.node_order o WHERE o.department = p_department)
        || (SELECT jsonb_build_object('reconcile', coalesce(jsonb_object_agg(r.resource_id, jsonb_build_object(
                'id', replace(r.id::text, '-', ''), 'salt', replace(encode(r.salt, 'base64'), E'\n', ''))), '{}'))
            FROM exchange.reconciliation r WHERE r.department = p_department AND r.state = 'open')
        || (SELECT jsonb_build_object('mend', coalesce(jsonb_object_agg(r.resource_id, jsonb_build_object(
                'id', replace(r.id::text, '-', ''), 'run', r.run, 'ranges', r.ranges, 'chosen',
                (SELECT coalesce(jsonb_agg(d -> 0), '[]') FROM jsonb_array_elements(r.differing) d))), '{}'))
            FROM exchange.reconciliation r
            WHERE r.department = p_department AND r.mend_asked_at IS NOT NULL AND r.mended_at IS NULL);
END $$;

-- Asks a node to rest, to go on, to load in full, or to let the removals through that it holds. False where it changes nothing.
-- That word is about a number of rows.
CREATE FUNCTION exchange.order_node(p_department text, p_resource text, p_order text, p_actor text, p_at timestamptz, p_rows bigint DEFAULT NULL)
RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
    v_id uuid := audit.new_id();
    v_outcome text := CASE p_order WHEN 'pause' THEN 'paused' WHEN 'resume' THEN 'resumed' WHEN 'reload' THEN 'reloaded'
                                   WHEN 'let-through' THEN 'let_through' END;
BEGIN
    IF v_outcome IS NULL OR (p_order = 'let-through') <> (p_rows IS NOT NULL)
       OR NOT EXISTS (SELECT FROM exchange.node n WHERE n.department = p_department)
       OR NOT EXISTS (SELECT FROM exchange.resource r WHERE r.id = p_resource AND r.department = p_department) THEN
        RAISE EXCEPTION 'no such node, resource or order' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    INSERT INTO exchange.node_order AS o (department, resource_id, paused, reload, let_through, let_rows)
    VALUES (p_department, p_resource, p_order = 'pause', (p_order = 'reload')::int, (p_order = 'let-through')::int, coalesce(p_rows, 0))
    ON CONFLICT (department, resource_id) DO UPDATE
        SET paused = CASE p_order WHEN 'pause' THEN true WHEN 'resume' THEN false ELSE o.paused END,
            reload = o.reload + (p_order = 'reload')::int,
            let_through = o.let_through + (p_order = 'let-through')::int,
            let_rows = coalesce(p_rows, o.let_rows)
        WHERE p_order IN ('reload', 'let-through') OR o.paused <> (p_order = 'pause');
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    PERFORM audit.append(v_id, p_at, 'node_ordered', p_department, p_department, p_actor, p_resource, NULL, NULL, NULL,
        v_outcome, jsonb_strip_nulls(jsonb_build_object('event', 'node_ordered', 'id', v_id, 'at', p_at, 'department', p_department,
            'provider', p_department, 'actor', p_actor, 'resource', p_resource, 'outcome', v_outcome, 'rows', p_rows))::text);
    RETURN true;
END $$;

REVOKE ALL ON exchange.reconciliation, exchange.reconciliation_difference FROM PUBLIC;
REVOKE ALL ON FUNCTION exchange.note_reconciliation, exchange.ask_reconciliation, exchange.close_reconciliation,
    exchange.withdraw_reconciliation, exchange.expire_reconciliations, exchange.mend_reconciliation, exchange.take_reconciliation_step,
    exchange.follow_reconciliation, exchange.fail_reconciliation, exchange.end_mending, exchange.reconciliation_rows,
    exchange.reconciliation_counts, exchange.reconciliation_gone, exchange.reconciliation_waiting, exchange.progress_reconciliation,
    exchange.answer_reconciliation FROM PUBLIC;
GRANT EXECUTE ON FUNCTION exchange.take_reconciliation_step, exchange.follow_reconciliation, exchange.fail_reconciliation,
    exchange.end_mending, exchange.reconciliation_rows, exchange.reconciliation_counts, exchange.reconciliation_gone,
    exchange.reconciliation_waiting, exchange.progress_reconciliation, exchange.answer_reconciliation TO shuqiao_loader;
GRANT EXECUTE ON FUNCTION exchange.ask_reconciliation, exchange.withdraw_reconciliation, exchange.expire_reconciliations,
    exchange.mend_reconciliation TO shuqiao_control;
GRANT SELECT (id, department, resource_id, asked_by, asked_at, state, failure, phase, done, total, heard_at, runs, mapping, ranges,
    source_rows, shared_rows, differing, moving, sampled, sample_agrees, found, is_complete, finished_at, told_at, mend_asked_at,
    mended_at, mended_rows, mend_failure, mend_failed_at), UPDATE (told_at) ON exchange.reconciliation TO shuqiao_control;
GRANT SELECT ON exchange.reconciliation_difference TO shuqiao_control;

REVOKE ALL ON FUNCTION exchange.hear_node, exchange.order_node FROM PUBLIC;
GRANT EXECUTE ON FUNCTION exchange.hear_node TO shuqiao_loader;
GRANT EXECUTE ON FUNCTION exchange.order_node TO shuqiao_control;
