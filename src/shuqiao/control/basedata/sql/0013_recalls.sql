-- Copies that are called back when their grant has ended, the holders' word that they deleted them, and feeds that their consumer
-- ends or begins anew. Control calls back; the plane keeps what nodes and systems sign, control what a person states.

CREATE TABLE exchange.recall (
    number      text PRIMARY KEY CHECK (number ~ '^L-[0-9]{4}-[0-9]{4,9}$'),
    grant_id    text NOT NULL,
    resource_id text NOT NULL,
    department  text NOT NULL,
    provider    text NOT NULL,
    application text NOT NULL,
    kind        text NOT NULL CHECK (kind IN ('feed', 'files', 'medium')),
    reason      text NOT NULL,
    regulation  text NOT NULL,
    held        jsonb NOT NULL CHECK (jsonb_typeof(held) = 'array' AND jsonb_array_length(held) BETWEEN 1 AND 500),
    left_out    int NOT NULL DEFAULT 0 CHECK (left_out >= 0),
    called_at   timestamptz NOT NULL,
    ended_on    date NOT NULL,
    due_on      date NOT NULL CHECK (due_on >= ended_on),
    entry       uuid NOT NULL,
    told_over   timestamptz,
    UNIQUE (grant_id, application, kind),
    CHECK ((kind = 'medium') = (application = ''))
);
CREATE INDEX recall_by_holder ON exchange.recall (application, due_on);
CREATE INDEX recall_by_list ON exchange.recall (resource_id);
COMMENT ON COLUMN exchange.recall.application IS 'Which of the department''s systems holds the copies; empty for what was handed over on a medium.';
COMMENT ON COLUMN exchange.recall.told_over IS 'When it was told that the due date has passed.';

CREATE TABLE exchange.deletion (
    recall    text PRIMARY KEY REFERENCES exchange.recall (number),
    entry     uuid NOT NULL,
    at        timestamptz NOT NULL,
    by        text NOT NULL CHECK (by IN ('node', 'system', 'person')),
    actor     text NOT NULL,
    statement text NOT NULL CHECK (length(statement) <= 131072),
    signature text NOT NULL DEFAULT '',
    node_key  bytea,
    CHECK ((by = 'node') = (signature <> '') AND (by = 'node') = (node_key IS NOT NULL))
);
COMMENT ON TABLE exchange.deletion IS 'Receipts of deletion, word for word; node_key is the key that the node''s signature was held against.';

-- Neither a recall's words nor a receipt change; what is held may grow until there is a receipt.
CREATE FUNCTION exchange.keep_recall() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN
    IF TG_OP = 'DELETE' OR TG_TABLE_NAME = 'deletion' THEN
        RAISE EXCEPTION 'recalls and receipts stay as they are' USING ERRCODE = 'insufficient_privilege';
    END IF;
    IF (NEW.number, NEW.grant_id, NEW.resource_id, NEW.department, NEW.provider, NEW.application, NEW.kind, NEW.called_at, NEW.entry)
       IS DISTINCT FROM (OLD.number, OLD.grant_id, OLD.resource_id, OLD.department, OLD.provider, OLD.application, OLD.kind, OLD.called_at, OLD.entry)
       OR (NEW.held <> OLD.held AND EXISTS (SELECT FROM exchange.deletion d WHERE d.recall = OLD.number)) THEN
        RAISE EXCEPTION 'recalls stay as they are' USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER keep_recall BEFORE UPDATE OR DELETE ON exchange.recall FOR EACH ROW EXECUTE FUNCTION exchange.keep_recall();
CREATE TRIGGER keep_recall BEFORE UPDATE OR DELETE ON exchange.deletion FOR EACH ROW EXECUTE FUNCTION exchange.keep_recall();

-- Keeps the receipt of a node or a system, once; said again it gives the entry there is. `p_held` is what the plane has held the
-- receipt against: where the recall names more by now, it is to be read again.
CREATE FUNCTION exchange.keep_deletion(
    p_id uuid, p_at timestamptz, p_recall text, p_held jsonb, p_department text, p_actor text, p_application text, p_by text, p_body text,
    p_statement text, p_signature text, p_node_key bytea
) RETURNS TABLE (outcome text, digest bytea, entry uuid, at timestamptz)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog SET lock_timeout = '2s' AS $$
#variable_conflict use_column
DECLARE
    v_recall exchange.recall; v_there exchange.deletion; v_digest bytea;
BEGIN
    SELECT r.* INTO v_recall FROM exchange.recall r
    WHERE r.number = p_recall AND r.department = p_department AND r.application = p_application AND p_application <> '' FOR UPDATE;
    IF v_recall.number IS NULL THEN
        RETURN QUERY SELECT 'gone', NULL::bytea, NULL::uuid, NULL::timestamptz; RETURN;
    END IF;
    SELECT d.* INTO v_there FROM exchange.deletion d WHERE d.recall = p_recall;
    IF v_there.recall IS NOT NULL THEN
        RETURN QUERY SELECT 'done', (SELECT e.digest FROM audit.entry e WHERE e.id = v_there.entry), v_there.entry, v_there.at; RETURN;
    END IF;
    IF v_recall.held <> p_held OR p_by NOT IN ('node', 'system') THEN
        RETURN QUERY SELECT 'changed', NULL::bytea, NULL::uuid, NULL::timestamptz; RETURN;
    END IF;
    v_digest := exchange.record_once(p_id, p_at, 'copies_deleted', p_department, v_recall.provider, p_actor, v_recall.resource_id,
        v_recall.grant_id, p_recall, 'deleted', p_body || E'\n' || jsonb_build_object('recall', p_recall, 'held', v_recall.held,
        'deleted_by', p_by, 'statement', p_statement, 'signature', p_signature,
        'node_key', coalesce(translate(encode(p_node_key, 'base64'), E'\n', ''), ''))::text);
    IF v_digest IS NULL THEN
        RETURN QUERY SELECT 'replayed', NULL::bytea, NULL::uuid, NULL::timestamptz; RETURN;
    END IF;
    INSERT INTO exchange.deletion (recall, entry, at, by, actor, statement, signature, node_key)
    VALUES (p_recall, p_id, p_at, p_by, p_actor, p_statement, p_signature, p_node_key);
    RETURN QUERY SELECT 'done', v_digest, p_id, p_at;
END $$;

-- A feed that its consumer ended rests: no other is given to this application under the grant until it is ended without.
ALTER TABLE exchange.subscription ADD COLUMN rests boolean NOT NULL DEFAULT false;

CREATE FUNCTION exchange.stop_feed(p_subscription uuid, p_rests boolean) RETURNS exchange.subscription
LANGUAGE plpgsql SET search_path = pg_catalog AS $$
DECLARE
    v_feed exchange.subscription;
BEGIN
    SELECT s.* INTO v_feed FROM exchange.subscription s WHERE s.id = p_subscription FOR UPDATE;
    UPDATE exchange.subscription s SET ended_at = coalesce(s.ended_at, clock_timestamp()), rests = p_rests WHERE s.id = p_subscription;
    IF NOT p_rests THEN
        UPDATE exchange.subscription s SET rests = false
        WHERE s.grant_id = v_feed.grant_id AND s.application = v_feed.application AND s.rests;
    END IF;
    -- Parts that nobody will fetch any more; one that is being prepared goes with its time.
    UPDATE exchange.bulk_job j SET state = 'expired', wrapped_key = NULL
    WHERE j.subscription = p_subscription AND j.state IN ('waiting', 'ready') AND j.number > v_feed.taken_number;
    RETURN v_feed;
END $$;

-- The application itself ends its feed; it may do so under a grant that is over as well, and again.
CREATE FUNCTION exchange.end_feed(
    p_id uuid, p_at timestamptz, p_subscription uuid, p_rests boolean, p_department text, p_actor text, p_application text, p_body text
) RETURNS TABLE (outcome text, digest bytea) LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog SET lock_timeout = '2s' AS $$
#variable_conflict use_column
DECLARE
    v_feed exchange.subscription; v_digest bytea;
BEGIN
    SELECT s.* INTO v_feed FROM exchange.subscription s
    WHERE s.id = p_subscription AND s.department = p_department AND s.application = p_application;
    IF v_feed.id IS NULL THEN
        RETURN QUERY SELECT 'gone', NULL::bytea; RETURN;
    END IF;
    v_digest := exchange.record_once(p_id, p_at, 'feed_ended', p_department, v_feed.provider, p_actor, v_feed.resource_id,
        v_feed.grant_id, NULL, CASE WHEN p_rests THEN 'feed_rests' ELSE 'feed_begins_anew' END,
        p_body || E'\n' || jsonb_build_object('subscription', v_feed.id, 'taken', v_feed.taken_number)::text);
    IF v_digest IS NULL THEN
        RETURN QUERY SELECT 'replayed', NULL::bytea; RETURN;
    END IF;
    PERFORM exchange.stop_feed(p_subscription, p_rests);
    RETURN QUERY SELECT 'done', v_digest;
END $$;

-- The same from a page of the consumer's, whose entry control writes in the same transaction. False where it changes nothing.
CREATE FUNCTION exchange.end_feed_of(p_subscription uuid, p_department text, p_rests boolean) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog SET lock_timeout = '2s' AS $$
BEGIN
    PERFORM FROM exchange.subscription s WHERE s.id = p_subscription AND s.department = p_department
        AND (s.ended_at IS NULL OR s.rests <> p_rests) FOR UPDATE;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    PERFORM exchange.stop_feed(p_subscription, p_rests);
    RETURN true;
END $$;

REVOKE ALL ON exchange.recall, exchange.deletion FROM PUBLIC;
REVOKE ALL ON FUNCTION exchange.keep_recall, exchange.keep_deletion, exchange.stop_feed, exchange.end_feed, exchange.end_feed_of FROM PUBLIC;
GRANT SELECT ON exchange.recall TO shuqiao_plane;
GRANT SELECT (department, public_key, active) ON exchange.node TO shuqiao_plane;
GRANT EXECUTE ON FUNCTION exchange.keep_deletion, exchange.end_feed TO shuqiao_plane;
GRANT SELECT (recall) ON exchange.deletion TO shuqiao_plane;
GRANT SELECT, INSERT ON exchange.recall, exchange.deletion TO shuqiao_control;
GRANT UPDATE (held, left_out, due_on, told_over) ON exchange.recall TO shuqiao_control;
GRANT SELECT (rests) ON exchange.subscription TO shuqiao_control;
GRANT EXECUTE ON FUNCTION exchange.end_feed_of TO shuqiao_control;
