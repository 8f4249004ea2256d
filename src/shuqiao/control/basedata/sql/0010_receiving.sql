-- Subscriptions that a consumer's node applies to its own database: what it says it has done, and the notices by which a change
-- needs no looking for.

-- What the consumer says of a part, in the words it signed: kept for the provider's page. Several parts may share one word; the
-- row is that of the last of them.
CREATE TABLE exchange.subscription_receipt (
    subscription    uuid NOT NULL REFERENCES exchange.subscription (id) ON DELETE CASCADE,
    number          int NOT NULL CHECK (number > 0),
    entry           uuid NOT NULL,
    said_at         timestamptz NOT NULL,
    applied_at      timestamptz NOT NULL,
    applied         bigint NOT NULL CHECK (applied >= 0),
    gone            bigint NOT NULL CHECK (gone >= 0),
    dead            bigint NOT NULL CHECK (dead >= 0),
    manifest_digest bytea NOT NULL CHECK (length(manifest_digest) = 32),
    -- The first rows that didn't fit: their numbers in the part, and why.
    unfit           jsonb NOT NULL DEFAULT '[]' CHECK (jsonb_typeof(unfit) = 'array' AND jsonb_array_length(unfit) <= 100),
    PRIMARY KEY (subscription, number)
);
COMMENT ON COLUMN exchange.subscription_receipt.dead IS 'Rows that did not fit the consumer''s table and lie apart from it.';

-- `take_feed` with a receipt, which must be about the part that was given out under this number.
CREATE FUNCTION exchange.take_with_receipt(
    p_epoch bigint, p_id uuid, p_at timestamptz, p_subscription uuid, p_number int, p_department text, p_actor text, p_application text,
    p_body text, p_digest bytea, p_applied_at timestamptz, p_counts bigint[], p_unfit jsonb DEFAULT '[]'
) RETURNS TABLE (outcome text, epoch bigint, digest bytea) LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
#variable_conflict use_column
DECLARE
    v_done record;
BEGIN
    IF NOT EXISTS (SELECT FROM exchange.bulk_job j WHERE j.subscription = p_subscription AND j.number = p_number
                   AND sha256(convert_to(j.manifest, 'UTF8')) = p_digest) THEN
        RETURN QUERY SELECT 'gone', e.value, NULL::bytea FROM exchange.epoch e; RETURN;
    END IF;
    SELECT t.* INTO v_done FROM exchange.take_feed(p_epoch, p_id, p_at, p_subscription, p_number, p_department, p_actor, p_application,
                                                   p_body) t;
    IF v_done.outcome = 'done' THEN
        INSERT INTO exchange.subscription_receipt (subscription, number, entry, said_at, applied_at, applied, gone, dead, manifest_digest, unfit)
        VALUES (p_subscription, p_number, p_id, p_at, p_applied_at, p_counts[1], p_counts[2], p_counts[3], p_digest, p_unfit)
        ON CONFLICT ON CONSTRAINT subscription_receipt_pkey DO UPDATE SET entry = excluded.entry, said_at = excluded.said_at,
            applied_at = excluded.applied_at, applied = excluded.applied, gone = excluded.gone, dead = excluded.dead, unfit = excluded.unfit;
    END IF;
    RETURN QUERY SELECT v_done.outcome, v_done.epoch, v_done.digest;
END $$;

-- A batch of a list that a feed follows, a feed that begins, and a part that is taken are told to the process for copies once they are committed: one
-- notice each.
CREATE FUNCTION exchange.tell_batch() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
    IF EXISTS (SELECT FROM exchange.subscription s WHERE s.resource_id = NEW.resource_id AND s.ended_at IS NULL) THEN
        PERFORM pg_notify('exchange_batch', '');
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER tell_batch AFTER INSERT ON exchange.batch FOR EACH ROW EXECUTE FUNCTION exchange.tell_batch();
CREATE TRIGGER tell_batch AFTER INSERT ON exchange.subscription FOR EACH ROW EXECUTE FUNCTION exchange.tell_batch();
CREATE TRIGGER tell_taken AFTER UPDATE OF taken_number ON exchange.subscription FOR EACH ROW
    WHEN (NEW.taken_number > OLD.taken_number) EXECUTE FUNCTION exchange.tell_batch();
CREATE INDEX subscription_by_resource ON exchange.subscription (resource_id) WHERE ended_at IS NULL;

-- A part of a feed that is ready is told to whoever waits for it at the plane.
CREATE FUNCTION exchange.tell_feed() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
    PERFORM pg_notify('exchange_feed', NEW.subscription::text);
    RETURN NULL;
END $$;
CREATE TRIGGER tell_feed AFTER UPDATE OF state ON exchange.bulk_job FOR EACH ROW
    WHEN (NEW.subscription IS NOT NULL AND NEW.state = 'ready' AND OLD.state <> 'ready') EXECUTE FUNCTION exchange.tell_feed();

REVOKE ALL ON exchange.subscription_receipt FROM PUBLIC;
REVOKE ALL ON FUNCTION exchange.take_with_receipt, exchange.tell_batch, exchange.tell_feed FROM PUBLIC;
GRANT EXECUTE ON FUNCTION exchange.take_with_receipt TO shuqiao_plane;
GRANT SELECT ON exchange.subscription_receipt TO shuqiao_control;
