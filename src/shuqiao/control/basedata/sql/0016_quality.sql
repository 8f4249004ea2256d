-- How many of a list's records hold a value of each plain item: {"rows": 10, "items": {"sex_code": 9}}. No value leaves. Of a
-- large list whole pages are drawn at random until there are about p_most rows; where they held few, for the list's size told
-- wrongly how large it is, its first p_most rows are taken. NULL where there is no such list.
CREATE FUNCTION exchange.filled_items(p_resource text, p_most int) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
    v_table regclass := to_regclass(format('base.%I', p_resource));
    v_counts text;
    v_query text;
    v_share real;
    v_found jsonb;
BEGIN
    IF v_table IS NULL OR p_most NOT BETWEEN 1 AND 1000000 THEN
        RETURN NULL;
    END IF;
    SELECT string_agg(format('%L, count(%I)', i ->> 'field', i ->> 'field'), ', ') INTO v_counts
    FROM exchange.resource r, jsonb_array_elements(r.spec -> 'items') i
    WHERE r.id = p_resource AND EXISTS (SELECT FROM pg_attribute a
        WHERE a.attrelid = v_table AND a.attname = i ->> 'field' AND a.attnum > 0 AND NOT a.attisdropped);
    -- A list that was filled a moment ago has no statistics yet: then its size says how large it is.
    SELECT least(100, 100 * p_most / greatest(CASE WHEN c.reltuples < 0 THEN pg_relation_size(c.oid) / 200 ELSE c.reltuples END, 1))
    INTO v_share FROM pg_class c WHERE c.oid = v_table;
    v_query := format('SELECT jsonb_build_object(''rows'', count(*), ''items'', jsonb_build_object(%s)) FROM ', coalesce(v_counts, ''));
    EXECUTE v_query || format('%s TABLESAMPLE SYSTEM (%s)', v_table, v_share) INTO v_found;
    IF v_share < 100 AND (v_found ->> 'rows')::int < p_most / 2 THEN
        EXECUTE v_query || format('(SELECT * FROM %s LIMIT %s) AS first', v_table, p_most) INTO v_found;
    END IF;
    RETURN v_found;
END $$;

REVOKE ALL ON FUNCTION exchange.filled_items FROM PUBLIC;
GRANT EXECUTE ON FUNCTION exchange.filled_items TO shuqiao_control;
