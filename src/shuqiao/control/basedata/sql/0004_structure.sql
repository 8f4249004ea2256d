-- The structure of a list may grow after it was made: a published change of its entry adds items, and each needs its column.
-- A column is never dropped and never changes its type: earlier records stay as they were received.

-- Makes base table, history, staging and the two functions of a resource out of its specification; repeated, it adds the
-- columns that are missing and brings the functions up to date. Identity items have no column: they live in the vault. An
-- item that has had a column can't become one of identity, or its values would stay outside the vault.
CREATE OR REPLACE FUNCTION exchange.create_list(p_resource text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog SET lock_timeout = '5s' AS $create$
DECLARE
    v_spec jsonb;
    v_item jsonb;
    v_field text;
    v_type text;
    v_kept text;
    v_added text := '';
    v_provenance constant text := 'subject_id uuid NOT NULL, identity_version int NOT NULL, version int NOT NULL,
        source_department text NOT NULL, source_system text NOT NULL, batch_sequence bigint NOT NULL,
        first_received_at timestamptz NOT NULL, received_at timestamptz NOT NULL';
    v_columns text := '';
    v_items text := '';
    v_of_s text := '';
    v_of_b text := '';
    v_assign text := '';
BEGIN
    SELECT r.spec INTO v_spec FROM exchange.resource r WHERE r.id = p_resource AND r.id ~ '^r[0-9]{6}[a-z2-7]{10}$';
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no resource %', p_resource USING ERRCODE = 'invalid_parameter_value';
    END IF;
    FOR v_item IN SELECT i FROM jsonb_array_elements(v_spec -> 'items') WITH ORDINALITY AS e(i, n) ORDER BY n LOOP
        v_field := v_item ->> 'field';
        SELECT format_type(a.atttypid, NULL) INTO v_kept FROM pg_attribute a
        WHERE a.attrelid = to_regclass(format('base.%I', p_resource)) AND a.attname = v_field AND a.attnum > 0;
        IF coalesce((v_item ->> 'identity')::boolean, false) THEN
            IF v_kept IS NOT NULL THEN
                RAISE EXCEPTION '%: item % has a column and can not become one of identity', p_resource, v_field
                    USING ERRCODE = 'datatype_mismatch';
            END IF;
            CONTINUE;
        END IF;
        v_type := CASE v_item ->> 'type' WHEN 'string' THEN 'text' WHEN 'text' THEN 'text' WHEN 'code' THEN 'text'
                                         WHEN 'date' THEN 'date' WHEN 'datetime' THEN 'timestamp with time zone' END;
        -- Both become part of statements that run with the owner's rights.
        IF v_type IS NULL OR v_field IS NULL OR v_field !~ '^[a-z][a-z0-9_]{0,58}$' THEN
            RAISE EXCEPTION '%: item % of type % can have no column', p_resource, v_field, v_item ->> 'type'
                USING ERRCODE = 'invalid_parameter_value';
        END IF;
        IF v_kept IS DISTINCT FROM v_type AND v_kept IS NOT NULL THEN
            RAISE EXCEPTION '%: the column of item % is % and can not become %', p_resource, v_field, v_kept, v_type
                USING ERRCODE = 'datatype_mismatch';
        END IF;
        IF v_kept IS NULL THEN
            v_added := v_added || format(', ADD COLUMN "%s" %s', v_field, v_type);
        END IF;
        v_columns := v_columns || format(', "%s" %s', v_field, v_type);
        v_items := v_items || format(', "%s"', v_field);
        v_of_s := v_of_s || format(', s."%s"', v_field);
        v_of_b := v_of_b || format(', b."%s"', v_field);
        v_assign := v_assign || format(', "%1$s" = s."%1$s"', v_field);
    END LOOP;
    IF to_regclass(format('base.%I', p_resource)) IS NULL THEN
        -- Room for a row that changes beside what it was: no index is touched then.
        EXECUTE format('CREATE TABLE base.%I (record_id uuid PRIMARY KEY, %s%s) WITH (fillfactor = 90)',
            p_resource, v_provenance, v_columns);
        EXECUTE format('CREATE TABLE base_history.%I (record_id uuid NOT NULL, %s%s,
            replaced_at timestamptz NOT NULL, PRIMARY KEY (record_id, version))', p_resource, v_provenance, v_columns);
        EXECUTE format('CREATE UNLOGGED TABLE staging.%I (record_id uuid NOT NULL, subject_id uuid NOT NULL,
            identity_version int NOT NULL%s)', p_resource, v_columns);
    ELSIF v_added <> '' THEN
        EXECUTE format('ALTER TABLE base.%I %s', p_resource, substr(v_added, 3));
        EXECUTE format('ALTER TABLE base_history.%I %s', p_resource, substr(v_added, 3));
        EXECUTE format('ALTER TABLE staging.%I %s', p_resource, substr(v_added, 3));
    END IF;
    EXECUTE replace(replace(exchange.read_template(), '{rid}', p_resource), '{plain}', substr(v_of_b, 2));
    EXECUTE replace(replace(replace(replace(replace(exchange.merge_template(), '{rid}', p_resource),
        '{items}', v_items), '{of_s}', v_of_s), '{of_b}', v_of_b), '{assign}', v_assign);
    EXECUTE format('REVOKE ALL ON FUNCTION exchange.%I, exchange.%I FROM PUBLIC',
        'read_' || p_resource, 'merge_' || p_resource);
    EXECUTE format('GRANT EXECUTE ON FUNCTION exchange.%I TO shuqiao_plane', 'read_' || p_resource);
    EXECUTE format('GRANT EXECUTE ON FUNCTION exchange.%I TO shuqiao_loader', 'merge_' || p_resource);
    EXECUTE format('GRANT INSERT ON staging.%I TO shuqiao_loader', p_resource);
END $create$;
