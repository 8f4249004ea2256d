-- Proxied interfaces: what the plane must know of a department's own interface, and the entries of its calls. The address and
-- the credentials of the interface stay with the department's node and are nowhere here.

CREATE TABLE exchange.interface (
    resource_id text PRIMARY KEY REFERENCES exchange.resource (id),
    spec        jsonb NOT NULL,
    active      boolean NOT NULL DEFAULT true
);
CREATE TRIGGER advance_epoch AFTER INSERT OR UPDATE OR DELETE ON exchange.interface
    FOR EACH STATEMENT EXECUTE FUNCTION exchange.advance_epoch();

-- How the calls of each system ended, by day, for the report of failing calls: one row for a kind of outcome, not for a call.
CREATE TABLE exchange.interface_outcome (
    day         date NOT NULL,
    resource_id text NOT NULL,
    provider    text NOT NULL,
    department  text NOT NULL,
    application text NOT NULL,
    operation   text NOT NULL,
    outcome     text NOT NULL,
    calls       bigint NOT NULL CHECK (calls > 0),
    last_at     timestamptz NOT NULL,
    PRIMARY KEY (day, resource_id, application, operation, outcome, department)
);
CREATE INDEX interface_outcome_of ON exchange.interface_outcome (provider, day);

-- Nothing is asked of a department before this entry is durable, under a grant in force that names the operation.
CREATE FUNCTION exchange.call_interface(
    p_epoch bigint, p_id uuid, p_at timestamptz, p_department text, p_actor text, p_grant text, p_resource text, p_operation text,
    p_case text, p_body text
) RETURNS TABLE (outcome text, epoch bigint, digest bytea) LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
#variable_conflict use_column
DECLARE
    v_epoch bigint; v_document jsonb; v_digest bytea;
BEGIN
    SELECT e.value INTO v_epoch FROM exchange.epoch e;
    SELECT g.document::jsonb INTO v_document FROM exchange."grant" g
    WHERE g.id = p_grant AND g.revoked_at IS NULL AND g.suspended_at IS NULL;
    IF v_epoch <> p_epoch OR v_document IS NULL OR v_document ->> 'resource' <> p_resource
       OR v_document ->> 'department' <> p_department OR NOT v_document -> 'operations' ? p_operation
       OR (p_at AT TIME ZONE 'Asia/Shanghai')::date
          NOT BETWEEN (v_document ->> 'valid_from')::date AND (v_document ->> 'valid_until')::date
       OR NOT EXISTS (SELECT FROM exchange.interface i WHERE i.resource_id = p_resource AND i.active) THEN
        RETURN QUERY SELECT 'stale', v_epoch, NULL::bytea; RETURN;
    END IF;
    v_digest := exchange.record_once(p_id, p_at, 'interface_called', p_department, v_document ->> 'provider', p_actor, p_resource,
        p_grant, p_case, 'asked', p_body || E'\n' || jsonb_build_object('operation', p_operation)::text);
    RETURN QUERY SELECT CASE WHEN v_digest IS NULL THEN 'replayed' ELSE 'done' END, v_epoch, v_digest;
END $$;

-- How a recorded call ended; nothing of the answer leaves before this entry is durable. It names the call and takes from its
-- entry whose it is. `p_seen` is what was seen of the answer: status, length and digest. An answer is given under the epoch it
-- was decided in only: what was revoked while the department worked is revoked.
CREATE FUNCTION exchange.end_interface_call(
    p_epoch bigint, p_id uuid, p_at timestamptz, p_call uuid, p_outcome text, p_application text, p_operation text, p_body text, p_seen jsonb
) RETURNS TABLE (outcome text, epoch bigint, digest bytea) LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
#variable_conflict use_column
DECLARE
    v_epoch bigint; v_call audit.entry; v_digest bytea;
BEGIN
    SELECT e.value INTO v_epoch FROM exchange.epoch e;
    SELECT a.* INTO v_call FROM audit.entry a WHERE a.id = p_call AND a.event = 'interface_called';
    IF v_call.id IS NULL THEN
        RETURN QUERY SELECT 'gone', v_epoch, NULL::bytea; RETURN;
    END IF;
    IF p_outcome = 'answered' AND v_epoch <> p_epoch THEN
        RETURN QUERY SELECT 'stale', v_epoch, NULL::bytea; RETURN;
    END IF;
    v_digest := exchange.record_once(p_id, p_at, 'interface_answered', v_call.department, v_call.provider, v_call.actor,
        v_call.resource_id, v_call.grant_id, v_call.case_no, p_outcome,
        p_body || E'\n' || (p_seen || jsonb_build_object('operation', p_operation))::text);
    IF v_digest IS NULL THEN
        RETURN QUERY SELECT 'replayed', v_epoch, NULL::bytea; RETURN;
    END IF;
    INSERT INTO exchange.interface_outcome AS o (day, resource_id, provider, department, application, operation, outcome, calls, last_at)
    VALUES ((p_at AT TIME ZONE 'Asia/Shanghai')::date, v_call.resource_id, v_call.provider, v_call.department, p_application,
            p_operation, p_outcome, 1, p_at)
    ON CONFLICT (day, resource_id, application, operation, outcome, department)
        DO UPDATE SET calls = o.calls + 1, last_at = greatest(o.last_at, excluded.last_at);
    RETURN QUERY SELECT 'done', v_epoch, v_digest;
END $$;

REVOKE ALL ON exchange.interface, exchange.interface_outcome FROM PUBLIC;
REVOKE ALL ON FUNCTION exchange.call_interface, exchange.end_interface_call FROM PUBLIC;
GRANT SELECT ON exchange.interface TO shuqiao_plane, shuqiao_bulk;
GRANT EXECUTE ON FUNCTION exchange.call_interface, exchange.end_interface_call TO shuqiao_plane;
GRANT SELECT, INSERT, UPDATE ON exchange.interface TO shuqiao_control;
GRANT SELECT ON exchange.interface_outcome TO shuqiao_control;
