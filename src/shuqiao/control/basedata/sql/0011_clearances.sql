-- Reviews that must stand before data are provided: signed by a named person for one resource, one version of the mapping and
-- a period. A batch without them is refused, each merged batch cites those it rests on.

CREATE TABLE exchange.clearance_kind (
    kind     text PRIMARY KEY CHECK (kind ~ '^[a-z][a-z_]{0,39}$'),
    citation text NOT NULL CHECK (length(citation) BETWEEN 1 AND 120)
);
COMMENT ON TABLE exchange.clearance_kind IS 'The reviews that the regulation in force demands, and the article.';

CREATE TABLE exchange.clearance (
    id              uuid PRIMARY KEY,
    resource_id     text NOT NULL REFERENCES exchange.resource (id),
    kind            text NOT NULL CHECK (kind ~ '^[a-z][a-z_]{0,39}$'),
    mapping_version text NOT NULL CHECK (length(mapping_version) BETWEEN 1 AND 64),
    valid_from      date NOT NULL,
    valid_until     date NOT NULL,
    signed_by       text NOT NULL CHECK (length(signed_by) BETWEEN 1 AND 150),
    signed_at       timestamptz NOT NULL,
    voided_at       timestamptz,
    void_reason     text CHECK (void_reason IN ('schema', 'replaced', 'withdrawn')),
    CHECK (valid_from <= valid_until),
    CHECK ((voided_at IS NULL) = (void_reason IS NULL))
);
CREATE UNIQUE INDEX one_clearance ON exchange.clearance (resource_id, kind, mapping_version) WHERE voided_at IS NULL;

-- The entry of a review as it now stands: signed, or void and why.
CREATE FUNCTION exchange.note_clearance(p_id uuid, p_at timestamptz, p_actor text) RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
    v_entry uuid := audit.new_id();
    v exchange.clearance;
    v_department text;
BEGIN
    SELECT c.* INTO STRICT v FROM exchange.clearance c WHERE c.id = p_id;
    SELECT r.department INTO STRICT v_department FROM exchange.resource r WHERE r.id = v.resource_id;
    PERFORM audit.append(v_entry, p_at, CASE WHEN v.voided_at IS NULL THEN 'clearance_signed' ELSE 'clearance_voided' END,
        v_department, v_department, p_actor, v.resource_id, NULL, NULL, NULL, coalesce(v.void_reason, 'signed'),
        jsonb_build_object('event', CASE WHEN v.voided_at IS NULL THEN 'clearance_signed' ELSE 'clearance_voided' END,
            'id', v_entry, 'at', p_at, 'department', v_department, 'provider', v_department, 'actor', p_actor,
            'resource', v.resource_id, 'outcome', coalesce(v.void_reason, 'signed'), 'clearance', v.id, 'review', v.kind,
            'mapping_version', v.mapping_version, 'valid_from', v.valid_from, 'valid_until', v.valid_until)::text);
END $$;

-- Signs a review; one of the same kind and mapping that still stands is replaced by it.
CREATE FUNCTION exchange.sign_clearance(
    p_id uuid, p_resource text, p_kind text, p_mapping text, p_from date, p_until date, p_by text, p_at timestamptz
) RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
    UPDATE exchange.clearance c SET voided_at = p_at, void_reason = 'replaced'
    WHERE c.resource_id = p_resource AND c.kind = p_kind AND c.mapping_version = p_mapping AND c.voided_at IS NULL;
    INSERT INTO exchange.clearance (id, resource_id, kind, mapping_version, valid_from, valid_until, signed_by, signed_at)
    VALUES (p_id, p_resource, p_kind, p_mapping, p_from, p_until, p_by, p_at);
    PERFORM exchange.note_clearance(p_id, p_at, 'account:' || p_by);
END $$;

-- Takes a review back. False where it does not stand any more.
CREATE FUNCTION exchange.void_clearance(p_id uuid, p_by text, p_at timestamptz) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
    UPDATE exchange.clearance c SET voided_at = p_at, void_reason = 'withdrawn' WHERE c.id = p_id AND c.voided_at IS NULL;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    PERFORM exchange.note_clearance(p_id, p_at, 'account:' || p_by);
    RETURN true;
END $$;

-- A changed structure voids what was signed for the old one, whoever changes it.
CREATE FUNCTION exchange.void_by_structure() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
    v_id uuid;
    v_at timestamptz := clock_timestamp();
BEGIN
    FOR v_id IN UPDATE exchange.clearance c SET voided_at = v_at, void_reason = 'schema'
                WHERE c.resource_id = NEW.id AND c.voided_at IS NULL RETURNING c.id LOOP
        PERFORM exchange.note_clearance(v_id, v_at, 'system:catalogue');
    END LOOP;
    RETURN NULL;
END $$;
CREATE TRIGGER void_by_structure AFTER UPDATE OF spec ON exchange.resource FOR EACH ROW
    WHEN (OLD.spec -> 'items' IS DISTINCT FROM NEW.spec -> 'items') EXECUTE FUNCTION exchange.void_by_structure();

ALTER TABLE exchange.batch ADD COLUMN clearances uuid[] NOT NULL DEFAULT '{}';
COMMENT ON COLUMN exchange.batch.clearances IS 'The reviews the batch rests on: with them it was collected and verified, merged it is provided.';

-- Which reviews a batch with this manifest rests on today, and which it lacks.
CREATE FUNCTION exchange.clearances_of(p_resource text, p_manifest text, OUT cited uuid[], OUT missing text[])
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
    cited := '{}';
    missing := '{}';
    IF NOT EXISTS (SELECT FROM exchange.clearance_kind) THEN
        RETURN;
    END IF;
    SELECT coalesce(array_agg(c.id ORDER BY k.kind) FILTER (WHERE c.id IS NOT NULL), '{}'),
           coalesce(array_agg(k.kind ORDER BY k.kind) FILTER (WHERE c.id IS NULL), '{}')
    INTO cited, missing
    FROM exchange.clearance_kind k LEFT JOIN exchange.clearance c
      ON c.kind = k.kind AND c.resource_id = p_resource AND c.voided_at IS NULL
     AND c.mapping_version = p_manifest::jsonb ->> 'mapping_version'
     AND (clock_timestamp() AT TIME ZONE 'Asia/Shanghai')::date BETWEEN c.valid_from AND c.valid_until;
END $$;

REVOKE ALL ON exchange.clearance, exchange.clearance_kind FROM PUBLIC;
REVOKE ALL ON FUNCTION exchange.note_clearance, exchange.sign_clearance, exchange.void_clearance, exchange.void_by_structure,
    exchange.clearances_of FROM PUBLIC;
GRANT SELECT ON exchange.clearance TO shuqiao_control;
GRANT SELECT, INSERT, UPDATE, DELETE ON exchange.clearance_kind TO shuqiao_control;
GRANT EXECUTE ON FUNCTION exchange.sign_clearance, exchange.void_clearance, exchange.clearances_of TO shuqiao_control;
GRANT EXECUTE ON FUNCTION exchange.clearances_of TO shuqiao_loader;
