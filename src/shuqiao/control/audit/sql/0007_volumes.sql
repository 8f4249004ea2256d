-- What each process says of the volumes its data lie on: encrypted or not, or declared by whom. The newest statement of
-- each place stands here; every new one, and one a day of each, is an entry of the log.

CREATE TABLE exchange.volume (
    process     text NOT NULL CHECK (process ~ '^[a-z][a-z-]{1,39}$'),
    host        text NOT NULL CHECK (length(host) BETWEEN 1 AND 253),
    place       text NOT NULL CHECK (place ~ '^[a-z][a-z-]{1,39}$'),
    state       text NOT NULL CHECK (state IN ('encrypted', 'declared', 'memory', 'open', 'unknown')),
    device      text NOT NULL CHECK (length(device) <= 20),
    declared_by text NOT NULL CHECK (length(declared_by) <= 60),
    declared_on date,
    stated_at   timestamptz NOT NULL,
    PRIMARY KEY (process, host, place),
    CHECK ((state = 'declared') = (declared_on IS NOT NULL AND declared_by <> ''))
);

-- True where the statement is new, or the last entry about it is of another day.
CREATE FUNCTION exchange.state_volume(
    p_process text, p_host text, p_place text, p_state text, p_device text, p_by text, p_on date
) RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog SET timezone = 'UTC' AS $$
DECLARE
    v_id uuid := audit.new_id();
    v_at timestamptz := clock_timestamp();
BEGIN
    INSERT INTO exchange.volume AS v (process, host, place, state, device, declared_by, declared_on, stated_at)
    VALUES (p_process, p_host, p_place, p_state, p_device, p_by, p_on, v_at)
    ON CONFLICT (process, host, place) DO UPDATE
        SET state = p_state, device = p_device, declared_by = p_by, declared_on = p_on, stated_at = v_at
        WHERE (v.state, v.device, v.declared_by, v.declared_on) IS DISTINCT FROM (p_state, p_device, p_by, p_on)
           OR v.stated_at::date < v_at::date;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    PERFORM audit.append(v_id, v_at, 'volume_stated', NULL, NULL, 'system:' || p_process, NULL, NULL, NULL, NULL, p_state,
        jsonb_build_object('event', 'volume_stated', 'id', v_id, 'at', v_at, 'actor', 'system:' || p_process,
            'outcome', p_state, 'host', p_host, 'volume', p_place, 'device', p_device, 'declared_by', p_by,
            'declared_on', p_on, 'role', session_user)::text);
    RETURN true;
END $$;

REVOKE ALL ON exchange.volume FROM PUBLIC;
REVOKE ALL ON FUNCTION exchange.state_volume FROM PUBLIC;
GRANT SELECT ON exchange.volume TO shuqiao_control;
GRANT EXECUTE ON FUNCTION exchange.state_volume TO shuqiao_control, shuqiao_plane, shuqiao_bulk;
