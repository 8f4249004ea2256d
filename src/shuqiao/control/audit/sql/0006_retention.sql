-- How long what an entry says stays readable, and how it goes: the text and its salt, never the digest, never a column by
-- which the law wants to search, never a leaf. What goes is itself an entry. Decision 25.

CREATE TABLE audit.retention (
    set_at      timestamptz PRIMARY KEY,
    body_months int NOT NULL CHECK (body_months BETWEEN 24 AND 1200),
    regulation  text NOT NULL
);
COMMENT ON TABLE audit.retention IS 'The newest row counts. No row: nothing goes.';
CREATE TRIGGER insert_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit.retention
    FOR EACH STATEMENT EXECUTE FUNCTION audit.refuse_change();

-- Parts that hold no text any more.
CREATE TABLE audit.pruned_part (
    name      text PRIMARY KEY,
    pruned_at timestamptz NOT NULL
);

-- The one change that an entry knows: text and salt go together, and only when they are older than 24 months, whoever asks
-- and whatever a regulation says. The salt goes too: with it a text that is gone could be guessed and the guess confirmed.
CREATE FUNCTION audit.keep_entry() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog AS $$
DECLARE
    v_as_it_was audit.entry;
BEGIN
    IF TG_OP = 'UPDATE' AND OLD.body IS NOT NULL AND OLD.occurred_at < clock_timestamp() - interval '24 months'
       AND NEW.body IS NULL AND NEW.salt = decode(repeat('00', 16), 'hex') THEN
        v_as_it_was := NEW;
        v_as_it_was.body := OLD.body;
        v_as_it_was.salt := OLD.salt;
        IF v_as_it_was IS NOT DISTINCT FROM OLD THEN
            RETURN NEW;
        END IF;
    END IF;
    RAISE EXCEPTION 'audit.% takes new rows only', TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
END $$;
DROP TRIGGER insert_only ON audit.entry;
CREATE TRIGGER insert_only BEFORE UPDATE OR DELETE ON audit.entry FOR EACH ROW EXECUTE FUNCTION audit.keep_entry();

-- Takes over what the regulation in force says; true when that is new. A change is an entry.
CREATE FUNCTION audit.set_retention(p_months int, p_regulation text, p_actor text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog SET timezone = 'UTC' AS $$
DECLARE
    v_id uuid := audit.new_id();
    v_at timestamptz := clock_timestamp();
BEGIN
    LOCK TABLE audit.retention IN SHARE ROW EXCLUSIVE MODE;
    IF EXISTS (SELECT FROM (SELECT * FROM audit.retention ORDER BY set_at DESC LIMIT 1) r
               WHERE r.body_months = p_months AND r.regulation = p_regulation) THEN
        RETURN false;
    END IF;
    INSERT INTO audit.retention (set_at, body_months, regulation) VALUES (v_at, p_months, p_regulation);
    PERFORM audit.append(v_id, v_at, 'retention_set', NULL, NULL, p_actor, NULL, NULL, NULL, NULL, 'set',
        jsonb_build_object('event', 'retention_set', 'id', v_id, 'at', v_at, 'actor', p_actor, 'outcome', 'set',
            'months', p_months, 'regulation', p_regulation)::text);
    RETURN true;
END $$;

-- Takes the text out of at most p_most entries of one month all of which are older than the retention; the oldest month
-- first. Returns how many; 0 when nothing is left to do. A part with entries that still wait for the tree is left alone.
CREATE FUNCTION audit.prune(p_most int, p_actor text) RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog SET timezone = 'UTC' AS $$
DECLARE
    v_months int; v_regulation text; v_until timestamptz; v_part text; v_pruned int;
    v_id uuid := audit.new_id();
    v_at timestamptz := clock_timestamp();
BEGIN
    SELECT r.body_months, r.regulation INTO v_months, v_regulation FROM audit.retention r ORDER BY r.set_at DESC LIMIT 1;
    IF NOT FOUND OR NOT pg_try_advisory_xact_lock(hashtext('audit.prune')) THEN
        RETURN 0;
    END IF;
    v_until := date_trunc('month', v_at - make_interval(months => v_months));
    FOR v_part IN
        SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
        WHERE i.inhparent = 'audit.entry'::regclass
          AND (c.relname = 'entry_other' OR c.relname < 'entry_' || to_char(v_until, 'YYYY_MM'))
          AND NOT EXISTS (SELECT FROM audit.pruned_part p WHERE p.name = c.relname)
        ORDER BY c.relname
    LOOP
        EXECUTE format('UPDATE audit.%1$I e SET body = NULL, salt = decode(repeat(''00'', 16), ''hex'')
            WHERE e.ctid = ANY (ARRAY(SELECT o.ctid FROM audit.%1$I o WHERE o.body IS NOT NULL AND o.occurred_at < $1
                AND EXISTS (SELECT FROM audit.leaf l WHERE l.entry_id = o.id) LIMIT $2))', v_part) USING v_until, p_most;
        GET DIAGNOSTICS v_pruned = ROW_COUNT;
        IF v_pruned < p_most AND v_part <> 'entry_other' THEN
            EXECUTE format('INSERT INTO audit.pruned_part (name, pruned_at)
                SELECT $1, $2 WHERE NOT EXISTS (SELECT FROM audit.%I o WHERE o.body IS NOT NULL)', v_part) USING v_part, v_at;
        END IF;
        IF v_pruned > 0 THEN
            PERFORM audit.append(v_id, v_at, 'bodies_pruned', NULL, NULL, p_actor, NULL, NULL, NULL, NULL, 'pruned',
                jsonb_build_object('event', 'bodies_pruned', 'id', v_id, 'at', v_at, 'actor', p_actor, 'outcome', 'pruned',
                    'entries', v_pruned, 'part', v_part, 'before', v_until, 'months', v_months, 'regulation', v_regulation)::text);
            RETURN v_pruned;
        END IF;
    END LOOP;
    RETURN 0;
END $$;

REVOKE ALL ON audit.retention, audit.pruned_part FROM PUBLIC;
REVOKE ALL ON FUNCTION audit.keep_entry, audit.set_retention, audit.prune FROM PUBLIC;
GRANT SELECT ON audit.retention, audit.pruned_part TO shuqiao_auditor, shuqiao_control;
GRANT EXECUTE ON FUNCTION audit.set_retention, audit.add_parts TO shuqiao_control;
GRANT EXECUTE ON FUNCTION audit.prune TO shuqiao_control, shuqiao_auditor;
