-- Bulk copy and online browse. The plane asks for a copy and hands it out; a process of its own, role shuqiao_bulk, prepares
-- it. Neither has a right on a base table: `open_bulk` makes a view for one transaction that shows the granted items of the
-- records the grant is about, and nothing else, and writes the audit entry in that same transaction.

CREATE TABLE exchange.subscription (
    id           uuid PRIMARY KEY,
    grant_id     text NOT NULL,
    resource_id  text NOT NULL REFERENCES exchange.resource (id),
    department   text NOT NULL,
    provider     text NOT NULL,
    application  text NOT NULL,
    format       text NOT NULL CHECK (format IN ('arrow', 'parquet', 'csv')),
    -- Turns record ids into keys that mean something in this feed only.
    key_salt     bytea NOT NULL DEFAULT decode(replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', ''), 'hex'),
    started_at   timestamptz NOT NULL,
    position     bigint NOT NULL DEFAULT 0 CHECK (position >= 0),
    last_number  int NOT NULL DEFAULT 0 CHECK (last_number >= 0),
    taken_number int NOT NULL DEFAULT 0 CHECK (taken_number BETWEEN 0 AND last_number),
    taken_at     timestamptz,
    ended_at     timestamptz,
    -- The public key to which its parts are sealed; a feed keeps it from beginning to end.
    recipient    bytea CHECK (octet_length(recipient) BETWEEN 32 AND 256)
);
CREATE UNIQUE INDEX one_subscription ON exchange.subscription (grant_id, application) WHERE ended_at IS NULL;
COMMENT ON COLUMN exchange.subscription.position IS 'The batch up to which the parts of the feed reach, last_number being the newest.';

CREATE TABLE exchange.bulk_job (
    id            uuid PRIMARY KEY,
    grant_id      text NOT NULL,
    resource_id   text NOT NULL REFERENCES exchange.resource (id),
    department    text NOT NULL,
    provider      text NOT NULL,
    application   text NOT NULL,
    actor         text NOT NULL,
    channel       text NOT NULL CHECK (channel IN ('interface', 'download')),
    format        text NOT NULL CHECK (format IN ('arrow', 'parquet', 'csv', 'xlsx')),
    digest        text NOT NULL DEFAULT 'sha-256' CHECK (digest IN ('sha-256', 'sm3')),
    subscription  uuid REFERENCES exchange.subscription (id),
    number        int CHECK (number > 0),
    from_sequence bigint,
    to_sequence   bigint,
    asked_at      timestamptz NOT NULL,
    tried_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    state         text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'preparing', 'ready', 'failed', 'expired')),
    attempt       int NOT NULL DEFAULT 0,
    rows          bigint,
    recipient     bytea CHECK (octet_length(recipient) BETWEEN 32 AND 256),
    wrapped_key   bytea,
    manifest      text,
    signature     bytea,
    key_id        text,
    failure       text,
    ready_at      timestamptz,
    expires_at    timestamptz,
    taken         uuid,
    CHECK ((subscription IS NULL) = (number IS NULL)),
    CHECK ((subscription IS NULL) = (from_sequence IS NULL)),
    CHECK (state <> 'ready' OR (rows IS NOT NULL AND wrapped_key IS NOT NULL AND manifest IS NOT NULL AND signature IS NOT NULL
           AND ready_at IS NOT NULL AND expires_at IS NOT NULL)),
    CHECK ((state = 'failed') = (failure IS NOT NULL)),
    UNIQUE (subscription, number)
);
CREATE INDEX bulk_job_open ON exchange.bulk_job (asked_at) WHERE state IN ('waiting', 'preparing');
CREATE INDEX bulk_job_by_grant ON exchange.bulk_job (grant_id, asked_at DESC);
CREATE INDEX bulk_job_by_list ON exchange.bulk_job (resource_id) WHERE manifest IS NOT NULL;
COMMENT ON COLUMN exchange.bulk_job.recipient IS
    'The public key to which the copy is sealed: wrapped_key is then opened by its owner alone, and by no secret of the platform.';
COMMENT ON COLUMN exchange.bulk_job.taken IS 'The entry with which the consumer first said that it keeps this part of a feed.';

-- The entry of the first download of each part, and which records a browsed page showed in which version: by these evidence is
-- found. What they say stands in the entries, too.
CREATE TABLE exchange.bulk_delivery (
    job   uuid NOT NULL REFERENCES exchange.bulk_job (id) ON DELETE CASCADE,
    part  int NOT NULL,
    entry uuid NOT NULL,
    at    timestamptz NOT NULL,
    PRIMARY KEY (job, part)
);
CREATE TABLE exchange.browsed (
    record_id uuid NOT NULL,
    entry     uuid NOT NULL,
    version   int NOT NULL,
    PRIMARY KEY (record_id, entry)
);

-- How far a preparation is and until when it counts as alive. Apart from the job, whose row the long transaction of the
-- preparation writes; lost in a crash, after which nobody is at work.
CREATE UNLOGGED TABLE exchange.bulk_progress (
    job         uuid PRIMARY KEY,
    attempt     int NOT NULL,
    rows_done   bigint NOT NULL DEFAULT 0,
    rows_total  bigint,
    lease_until timestamptz NOT NULL
);

-- Signatures of requests that leave no entry, such as the one for the state of a copy with its links: kept while a request
-- could still be sent again, under the id its entry would have.
CREATE TABLE exchange.used_signature (
    id         uuid PRIMARY KEY,
    expires_at timestamptz NOT NULL
);
CREATE INDEX used_signature_by_time ON exchange.used_signature (expires_at);

-- Row conditions (rules.rows) as SQL over a base table's alias. Only names of plain items become identifiers and only
-- literals quoted by PostgreSQL become values; what the language doesn't know is refused, never left out.
CREATE FUNCTION exchange.row_conditions(p_rows jsonb, p_spec jsonb, p_alias text) RETURNS text
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog AS $$
DECLARE
    v_row jsonb; v_item jsonb; v_text text; v_sql text := 'true'; v_values text[]; v_op text;
BEGIN
    IF jsonb_typeof(coalesce(p_rows, '[]')) <> 'array' OR p_alias !~ '^[a-z]$' THEN
        RAISE EXCEPTION 'no conditions on rows' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    FOR v_row IN SELECT jsonb_array_elements(coalesce(p_rows, '[]')) LOOP
        SELECT i INTO v_item FROM jsonb_array_elements(p_spec -> 'items') i
        WHERE i ->> 'field' = v_row ->> 'field' AND NOT coalesce((i ->> 'identity')::boolean, false);
        IF NOT FOUND OR (v_item ->> 'field') !~ '^[a-z][a-z0-9_]{0,62}$' THEN
            RAISE EXCEPTION 'row_field_unknown' USING ERRCODE = 'invalid_parameter_value';
        END IF;
        v_op := v_row ->> 'op';
        v_values := ARRAY(SELECT jsonb_array_elements_text(coalesce(v_row -> 'values', '[]')));
        v_text := exchange.written_column(v_item ->> 'field', v_item ->> 'type', p_alias);
        IF v_op = 'null' AND cardinality(v_values) = 0 THEN
            v_sql := v_sql || format(' AND %s IS NULL', v_text);
        ELSIF (v_op = 'eq' AND cardinality(v_values) = 1) OR (v_op = 'in' AND cardinality(v_values) BETWEEN 1 AND 200) THEN
            v_sql := v_sql || format(' AND %s = ANY (%L::text[])', v_text, v_values);
        ELSIF v_op = 'range' AND cardinality(v_values) = 2 AND v_values <> ARRAY['', '']
              AND v_item ->> 'type' IN ('date', 'datetime', 'string', 'code') THEN
            v_sql := v_sql || format(' AND %s IS NOT NULL', v_text)
                || CASE WHEN v_values[1] <> '' THEN format(' AND %s >= %L', v_text, v_values[1]) ELSE '' END
                || CASE WHEN v_values[2] <> '' THEN format(' AND %s <= %L', v_text, v_values[2]) ELSE '' END;
        ELSE
            RAISE EXCEPTION 'row_values_wrong' USING ERRCODE = 'invalid_parameter_value';
        END IF;
    END LOOP;
    RETURN v_sql;
END $$;

-- A column in its written form, as a keyed read gives it, whatever the session's time zone; compared byte by byte.
CREATE FUNCTION exchange.written_column(p_field text, p_type text, p_alias text) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog AS $$
    SELECT CASE p_type
        WHEN 'date' THEN format('(to_json(%I.%I) #>> ''{}'') COLLATE "C"', p_alias, p_field)
        WHEN 'datetime' THEN format('((to_json(%I.%I AT TIME ZONE ''UTC'') #>> ''{}'') || ''+00:00'') COLLATE "C"', p_alias, p_field)
        ELSE format('%I.%I COLLATE "C"', p_alias, p_field) END
$$;

-- Whether a grant may be used for a bulk copy now: the plane has decided so before; the database asks again.
CREATE FUNCTION exchange.bulk_grant(p_grant text, p_resource text) RETURNS jsonb
LANGUAGE plpgsql STABLE SET search_path = pg_catalog AS $$
DECLARE
    v_document jsonb;
BEGIN
    SELECT g.document::jsonb INTO v_document FROM exchange."grant" g
    WHERE g.id = p_grant AND g.revoked_at IS NULL AND g.suspended_at IS NULL;
    IF NOT FOUND OR v_document ->> 'mode' <> 'bulk' OR v_document ->> 'resource' IS DISTINCT FROM p_resource
       -- A grant that names files is for the files alone.
       OR coalesce(jsonb_array_length(v_document -> 'files'), 0) > 0
       OR (clock_timestamp() AT TIME ZONE 'Asia/Shanghai')::date
          NOT BETWEEN (v_document ->> 'valid_from')::date AND (v_document ->> 'valid_until')::date THEN
        RETURN NULL;
    END IF;
    RETURN v_document;
END $$;

-- One entry whose id may be there already: null then.
CREATE FUNCTION exchange.record_once(
    p_id uuid, p_at timestamptz, p_event text, p_department text, p_provider text, p_actor text, p_resource text,
    p_grant text, p_case text, p_outcome text, p_body text
) RETURNS bytea LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN
    RETURN audit.append(p_id, p_at, p_event, p_department, p_provider, p_actor, p_resource, NULL, p_grant, p_case, p_outcome, p_body);
EXCEPTION WHEN unique_violation THEN
    RETURN NULL;
END $$;

-- Every function of the plane answers `outcome`: done, stale (another epoch holds: decide again), replayed, or why not.
CREATE FUNCTION exchange.ask_bulk(
    p_epoch bigint, p_id uuid, p_at timestamptz, p_department text, p_actor text, p_application text, p_grant text,
    p_resource text, p_format text, p_digest text, p_channel text, p_case text, p_recipient bytea, p_body text
) RETURNS TABLE (outcome text, epoch bigint, digest bytea) LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
#variable_conflict use_column
DECLARE
    v_epoch bigint; v_document jsonb; v_digest bytea;
BEGIN
    SELECT e.value INTO v_epoch FROM exchange.epoch e;
    v_document := exchange.bulk_grant(p_grant, p_resource);
    IF v_epoch <> p_epoch OR v_document IS NULL OR v_document ->> 'department' <> p_department THEN
        RETURN QUERY SELECT 'stale', v_epoch, NULL::bytea; RETURN;
    END IF;
    PERFORM pg_advisory_xact_lock(hashtextextended('bulk ' || p_department, 0));
    IF (SELECT count(*) FROM exchange.bulk_job j WHERE j.department = p_department AND j.subscription IS NULL
        AND j.state IN ('waiting', 'preparing')) >= 4 THEN
        RETURN QUERY SELECT 'busy', v_epoch, NULL::bytea; RETURN;
    END IF;
    v_digest := exchange.record_once(p_id, p_at, 'bulk_asked', p_department, v_document ->> 'provider', p_actor, p_resource,
                                     p_grant, nullif(p_case, ''), 'asked', p_body);
    IF v_digest IS NULL THEN
        RETURN QUERY SELECT 'replayed', v_epoch, NULL::bytea; RETURN;
    END IF;
    INSERT INTO exchange.bulk_job (id, grant_id, resource_id, department, provider, application, actor, channel, format, digest, asked_at,
                                   recipient)
    VALUES (p_id, p_grant, p_resource, p_department, v_document ->> 'provider', p_application, p_actor, p_channel, p_format, p_digest, p_at,
            p_recipient);
    RETURN QUERY SELECT 'done', v_epoch, v_digest;
END $$;

-- No byte of a part leaves before this entry is durable; each start of a download has its own.
CREATE FUNCTION exchange.deliver_bulk(
    p_epoch bigint, p_id uuid, p_at timestamptz, p_job uuid, p_part int, p_from bigint, p_department text, p_actor text, p_body text
) RETURNS TABLE (outcome text, epoch bigint, digest bytea) LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
#variable_conflict use_column
DECLARE
    v_epoch bigint; v_job exchange.bulk_job; v_digest bytea;
BEGIN
    SELECT e.value INTO v_epoch FROM exchange.epoch e;
    SELECT j.* INTO v_job FROM exchange.bulk_job j WHERE j.id = p_job AND j.department = p_department;
    IF v_job.id IS NULL OR v_job.state <> 'ready' OR v_job.expires_at <= clock_timestamp() THEN
        RETURN QUERY SELECT 'gone', v_epoch, NULL::bytea; RETURN;
    END IF;
    IF v_epoch <> p_epoch OR exchange.bulk_grant(v_job.grant_id, v_job.resource_id) IS NULL THEN
        RETURN QUERY SELECT 'stale', v_epoch, NULL::bytea; RETURN;
    END IF;
    v_digest := exchange.record_once(p_id, p_at, 'bulk_delivered', p_department, v_job.provider, p_actor, v_job.resource_id,
        v_job.grant_id, NULL, 'delivering', p_body || E'\n' || jsonb_build_object('job', v_job.id, 'part', p_part,
        'from_byte', p_from, 'rows', v_job.rows, 'format', v_job.format,
        'manifest_digest', encode(sha256(convert_to(v_job.manifest, 'UTF8')), 'hex'))::text);
    INSERT INTO exchange.bulk_delivery (job, part, entry, at)
    SELECT v_job.id, p_part, p_id, p_at WHERE v_digest IS NOT NULL ON CONFLICT DO NOTHING;
    RETURN QUERY SELECT CASE WHEN v_digest IS NULL THEN 'replayed' ELSE 'done' END, v_epoch, v_digest;
END $$;

CREATE FUNCTION exchange.subscribe(
    p_epoch bigint, p_id uuid, p_at timestamptz, p_department text, p_actor text, p_application text, p_grant text,
    p_resource text, p_format text, p_recipient bytea, p_body text
) RETURNS TABLE (outcome text, epoch bigint, digest bytea, subscription uuid, recipient bytea)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog SET lock_timeout = '2s' AS $$
#variable_conflict use_column
DECLARE
    v_epoch bigint; v_document jsonb; v_digest bytea; v_there exchange.subscription;
BEGIN
    SELECT e.value INTO v_epoch FROM exchange.epoch e;
    v_document := exchange.bulk_grant(p_grant, p_resource);
    IF v_epoch <> p_epoch OR v_document IS NULL OR v_document ->> 'department' <> p_department THEN
        RETURN QUERY SELECT 'stale', v_epoch, NULL::bytea, NULL::uuid, NULL::bytea; RETURN;
    END IF;
    IF EXISTS (SELECT FROM exchange.subscription s WHERE s.grant_id = p_grant AND s.application = p_application AND s.rests) THEN
        RETURN QUERY SELECT 'rests', v_epoch, NULL::bytea, NULL::uuid, NULL::bytea; RETURN;
    END IF;
    v_digest := exchange.record_once(p_id, p_at, 'feed_subscribed', p_department, v_document ->> 'provider', p_actor, p_resource,
                                     p_grant, NULL, 'subscribed', p_body);
    IF v_digest IS NULL THEN
        RETURN QUERY SELECT 'replayed', v_epoch, NULL::bytea, NULL::uuid, NULL::bytea; RETURN;
    END IF;
    INSERT INTO exchange.subscription (id, grant_id, resource_id, department, provider, application, format, started_at, recipient)
    VALUES (p_id, p_grant, p_resource, p_department, v_document ->> 'provider', p_application, p_format, p_at, p_recipient)
    ON CONFLICT DO NOTHING;
    SELECT s.* INTO v_there FROM exchange.subscription s
    WHERE s.grant_id = p_grant AND s.application = p_application AND s.ended_at IS NULL;
    RETURN QUERY SELECT 'done', v_epoch, v_digest, v_there.id, v_there.recipient;
END $$;

-- The consumer says up to which part it has taken the feed; said twice, it changes nothing.
CREATE FUNCTION exchange.take_feed(
    p_epoch bigint, p_id uuid, p_at timestamptz, p_subscription uuid, p_number int, p_department text, p_actor text, p_application text, p_body text
) RETURNS TABLE (outcome text, epoch bigint, digest bytea) LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
#variable_conflict use_column
DECLARE
    v_epoch bigint; v_feed exchange.subscription; v_digest bytea;
BEGIN
    SELECT e.value INTO v_epoch FROM exchange.epoch e;
    SELECT s.* INTO v_feed FROM exchange.subscription s
    WHERE s.id = p_subscription AND s.department = p_department AND s.application = p_application FOR UPDATE;
    IF v_feed.id IS NULL OR p_number > v_feed.last_number THEN
        RETURN QUERY SELECT 'gone', v_epoch, NULL::bytea; RETURN;
    END IF;
    IF v_epoch <> p_epoch OR exchange.bulk_grant(v_feed.grant_id, v_feed.resource_id) IS NULL THEN
        RETURN QUERY SELECT 'stale', v_epoch, NULL::bytea; RETURN;
    END IF;
    v_digest := exchange.record_once(p_id, p_at, 'feed_taken', p_department, v_feed.provider, p_actor, v_feed.resource_id,
        v_feed.grant_id, NULL, 'taken', p_body || E'\n'
        || jsonb_build_object('subscription', v_feed.id, 'number', p_number)::text);
    IF v_digest IS NOT NULL THEN
        UPDATE exchange.subscription SET taken_number = greatest(taken_number, p_number), taken_at = p_at WHERE id = v_feed.id;
        UPDATE exchange.bulk_job j SET taken = p_id WHERE j.subscription = v_feed.id AND j.number <= p_number AND j.taken IS NULL;
    END IF;
    RETURN QUERY SELECT CASE WHEN v_digest IS NULL THEN 'replayed' ELSE 'done' END, v_epoch, v_digest;
END $$;

-- Uses a signature up, where no entry does so. Whether the request was allowed was decided on an epoch that still holds.
CREATE FUNCTION exchange.use_signature(p_epoch bigint, p_id uuid, p_keep_s int)
RETURNS TABLE (outcome text, epoch bigint, digest bytea) LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
#variable_conflict use_column
DECLARE
    v_epoch bigint;
BEGIN
    SELECT e.value INTO v_epoch FROM exchange.epoch e;
    IF v_epoch <> p_epoch THEN
        RETURN QUERY SELECT 'stale', v_epoch, NULL::bytea; RETURN;
    END IF;
    -- A refusal of the same request has an entry under this id.
    INSERT INTO exchange.used_signature (id, expires_at)
    SELECT p_id, clock_timestamp() + make_interval(secs => p_keep_s)
    WHERE NOT EXISTS (SELECT FROM audit.entry a WHERE a.id = p_id) ON CONFLICT DO NOTHING;
    RETURN QUERY SELECT CASE WHEN FOUND THEN 'done' ELSE 'replayed' END, v_epoch, NULL::bytea;
END $$;

-- A page of records for one reader: counted up to 10,001, at most 100 given, recorded before it is shown.
CREATE FUNCTION exchange.browse(
    p_epoch bigint, p_id uuid, p_at timestamptz, p_department text, p_actor text, p_grant text, p_resource text,
    p_filters jsonb, p_sort text, p_descending boolean, p_offset int, p_limit int, p_body text
) RETURNS TABLE (outcome text, epoch bigint, digest bytea, total bigint, records json)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog SET timezone = 'UTC' SET enable_seqscan = on AS $$
#variable_conflict use_column
DECLARE
    v_epoch bigint; v_document jsonb; v_spec jsonb; v_where text; v_total bigint; v_rows json; v_given int; v_digest bytea;
    v_versions jsonb; v_items text; v_order text := 'b.record_id';
BEGIN
    SELECT e.value INTO v_epoch FROM exchange.epoch e;
    v_document := exchange.bulk_grant(p_grant, p_resource);
    IF v_epoch <> p_epoch OR v_document IS NULL OR v_document ->> 'department' <> p_department
       OR NOT v_document -> 'channels' ? 'browse' THEN
        RETURN QUERY SELECT 'stale', v_epoch, NULL::bytea, NULL::bigint, NULL::json; RETURN;
    END IF;
    SELECT r.spec INTO v_spec FROM exchange.resource r WHERE r.id = p_resource;
    IF EXISTS (SELECT FROM jsonb_array_elements(p_filters) f WHERE NOT v_document -> 'items' ? (f ->> 'field'))
       OR (p_sort IS NOT NULL AND NOT (v_document -> 'items') ? p_sort) OR p_offset NOT BETWEEN 0 AND 10000 OR p_limit NOT BETWEEN 1 AND 100 THEN
        RAISE EXCEPTION 'outside the grant' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    v_where := exchange.row_conditions(v_document -> 'rows', v_spec, 'b') || ' AND ' || exchange.row_conditions(p_filters, v_spec, 'b');
    SELECT coalesce(string_agg(format(', b.%I', i ->> 'field'), '' ORDER BY n), '') INTO v_items
    FROM jsonb_array_elements(v_spec -> 'items') WITH ORDINALITY AS e(i, n)
    WHERE v_document -> 'items' ? (i ->> 'field') AND NOT coalesce((i ->> 'identity')::boolean, false);
    IF p_sort IS NOT NULL THEN
        IF NOT EXISTS (SELECT FROM jsonb_array_elements(v_spec -> 'items') i
                       WHERE i ->> 'field' = p_sort AND NOT coalesce((i ->> 'identity')::boolean, false)) THEN
            RAISE EXCEPTION 'no item to sort by' USING ERRCODE = 'invalid_parameter_value';
        END IF;
        v_order := format('b.%I %s NULLS LAST, b.record_id', p_sort, CASE WHEN p_descending THEN 'DESC' ELSE 'ASC' END);
    END IF;
    EXECUTE format('SELECT count(*) FROM (SELECT FROM base.%I b WHERE %s LIMIT 10001) c', p_resource, v_where) INTO v_total;
    EXECUTE format('SELECT coalesce(json_agg(r), ''[]''), count(*), coalesce(jsonb_object_agg(r._record, r._version::int), ''{}'')'
                   ' FROM (SELECT b.record_id AS _record, b.version::text AS _version%s FROM base.%I b WHERE %s ORDER BY %s LIMIT %s OFFSET %s) r',
                   v_items, p_resource, v_where, v_order, p_limit, p_offset) INTO v_rows, v_given, v_versions;
    v_digest := exchange.record_once(p_id, p_at, 'browse_viewed', p_department, v_document ->> 'provider', p_actor, p_resource,
        p_grant, NULL, 'shown', p_body || E'\n' || jsonb_build_object('count', v_given, 'versions', v_versions, 'offset', p_offset,
        'filters', (SELECT coalesce(jsonb_agg(f ->> 'field'), '[]') FROM jsonb_array_elements(p_filters) f), 'sort', p_sort)::text);
    IF v_digest IS NULL THEN
        RETURN QUERY SELECT 'replayed', v_epoch, NULL::bytea, NULL::bigint, NULL::json; RETURN;
    END IF;
    INSERT INTO exchange.browsed (record_id, entry, version) SELECT r.key::uuid, p_id, r.value::int FROM jsonb_each_text(v_versions) r;
    RETURN QUERY SELECT 'done', v_epoch, v_digest, v_total, v_rows;
END $$;

-- The next job nobody is at work on; of one that was broken off the attempt counts on, and the older attempt can't finish.
CREATE FUNCTION exchange.claim_bulk(p_lease_s int) RETURNS SETOF exchange.bulk_job
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
    v_job exchange.bulk_job;
BEGIN
    SELECT j.* INTO v_job FROM exchange.bulk_job j
    WHERE j.state = 'waiting' OR (j.state = 'preparing' AND NOT EXISTS (
        SELECT FROM exchange.bulk_progress p WHERE p.job = j.id AND p.attempt = j.attempt AND p.lease_until > clock_timestamp()))
    ORDER BY j.asked_at LIMIT 1 FOR UPDATE SKIP LOCKED;
    -- Somebody may have taken it between the snapshot of that statement and its lock: this one sees it.
    IF NOT FOUND OR EXISTS (SELECT FROM exchange.bulk_progress p
        WHERE p.job = v_job.id AND p.attempt = v_job.attempt AND p.lease_until > clock_timestamp()) THEN
        RETURN;
    END IF;
    -- Lost in a crash it is claimed anew, and whoever had claimed it has lost its connection too: nobody waits for the disk here.
    PERFORM set_config('synchronous_commit', 'off', true);
    UPDATE exchange.bulk_job SET state = 'preparing', attempt = attempt + 1 WHERE id = v_job.id RETURNING * INTO v_job;
    INSERT INTO exchange.bulk_progress (job, attempt, lease_until)
    VALUES (v_job.id, v_job.attempt, clock_timestamp() + make_interval(secs => p_lease_s))
    ON CONFLICT (job) DO UPDATE SET attempt = excluded.attempt, rows_done = 0, rows_total = NULL, lease_until = excluded.lease_until;
    RETURN NEXT v_job;
END $$;

CREATE FUNCTION exchange.progress_bulk(p_job uuid, p_attempt int, p_done bigint, p_total bigint, p_lease_s int) RETURNS boolean
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog AS $$
    WITH kept AS (UPDATE exchange.bulk_progress SET rows_done = p_done, rows_total = p_total,
        lease_until = clock_timestamp() + make_interval(secs => p_lease_s) WHERE job = p_job AND attempt = p_attempt RETURNING 1)
    SELECT EXISTS (SELECT FROM kept)
$$;

-- The rows of a copy as a query: the granted items of the records that the grant is about, and nothing else.
CREATE FUNCTION exchange.copy_query(p_job exchange.bulk_job, p_document jsonb) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog AS $$
DECLARE
    v_spec jsonb; v_where text; v_columns text; v_nulls text; v_sql text; v_key text := ''; v_identity boolean; v_salt bytea; v_before text; v_held text;
BEGIN
    SELECT r.spec INTO STRICT v_spec FROM exchange.resource r WHERE r.id = p_job.resource_id AND r.active;
    v_where := exchange.row_conditions(p_document -> 'rows', v_spec, 'b');
    SELECT bool_or(coalesce((i ->> 'identity')::boolean, false)),
           coalesce(string_agg(format(', b.%I', i ->> 'field'), '' ORDER BY n) FILTER (WHERE NOT coalesce((i ->> 'identity')::boolean, false)), ''),
           coalesce(string_agg(format(', NULL AS %I', i ->> 'field'), '' ORDER BY n) FILTER (WHERE NOT coalesce((i ->> 'identity')::boolean, false)), '')
    INTO v_identity, v_columns, v_nulls
    FROM jsonb_array_elements(v_spec -> 'items') WITH ORDINALITY AS e(i, n) WHERE p_document -> 'items' ? (i ->> 'field');
    IF p_job.subscription IS NOT NULL THEN
        SELECT s.key_salt INTO STRICT v_salt FROM exchange.subscription s WHERE s.id = p_job.subscription;
        v_key := format(', encode(substr(sha256(%L::bytea || uuid_send(b.record_id)), 1, 16), ''hex'') AS _key', v_salt);
        v_where := v_where || format(' AND b.batch_sequence > %s', p_job.from_sequence);
    END IF;
    -- The record's own id serves to ask the vault, and stays in the process that prepares.
    v_sql := format('SELECT %s AS _record%s%s%s FROM base.%I b WHERE %s',
        CASE WHEN v_identity THEN 'b.record_id' ELSE 'NULL::uuid' END, v_key,
        CASE WHEN v_key <> '' THEN ', ''upsert'' AS _op' ELSE '' END, v_columns, p_job.resource_id, v_where);
    IF p_job.from_sequence > 0 THEN
        -- A record that fulfilled the conditions at the last part and no longer does has gone out of the grant.
        v_before := exchange.row_conditions(p_document -> 'rows', v_spec, 'h');
        v_held := format('EXISTS (SELECT FROM base_history.%1$I h WHERE h.record_id = b.record_id AND (%2$s) AND h.version ='
            ' (SELECT max(o.version) FROM base_history.%1$I o WHERE o.record_id = b.record_id AND o.batch_sequence <= %3$s)'
            ' AND NOT EXISTS (SELECT FROM exchange.removal d WHERE d.resource_id = %1$L AND d.record_id = b.record_id'
            ' AND d.version = h.version AND d.batch_sequence <= %3$s))', p_job.resource_id, v_before, p_job.from_sequence);
        -- Where the grant is about every record, none goes out of it.
        IF v_before <> 'true' THEN
            v_sql := v_sql || format(' UNION ALL SELECT NULL::uuid%s, ''gone''%s FROM base.%I b WHERE b.batch_sequence > %s AND (%s) IS NOT TRUE AND %s',
                v_key, v_nulls, p_job.resource_id, p_job.from_sequence, exchange.row_conditions(p_document -> 'rows', v_spec, 'b'), v_held);
        END IF;
        -- So has one that left the list and did not come back.
        IF EXISTS (SELECT FROM exchange.removal r WHERE r.resource_id = p_job.resource_id AND r.batch_sequence > p_job.from_sequence) THEN
            v_sql := v_sql || format(' UNION ALL SELECT NULL::uuid%s, ''gone''%s FROM (SELECT DISTINCT r.record_id FROM exchange.removal r'
                ' WHERE r.resource_id = %L AND r.batch_sequence > %s) b WHERE NOT EXISTS (SELECT FROM base.%I t WHERE t.record_id = b.record_id) AND %s',
                v_key, v_nulls, p_job.resource_id, p_job.from_sequence, p_job.resource_id, v_held);
        END IF;
    END IF;
    RETURN v_sql;
END $$;

-- The entry of a prepared copy, which appears together with its manifest or not at all.
CREATE FUNCTION exchange.record_prepared(
    p_job exchange.bulk_job, p_document jsonb, p_epoch bigint, p_rows bigint, p_to bigint, OUT entry uuid, OUT at timestamptz
) LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN
    entry := audit.new_id();
    at := clock_timestamp();
    PERFORM audit.append(entry, at, 'bulk_prepared', p_job.department, p_job.provider, 'system:bulk', p_job.resource_id, NULL,
        p_job.grant_id, NULL, 'prepared', jsonb_build_object('event', 'bulk_prepared', 'id', entry, 'at', at,
            'department', p_job.department, 'provider', p_job.provider, 'actor', 'system:bulk', 'resource', p_job.resource_id,
            'grant', p_job.grant_id, 'outcome', 'prepared', 'job', p_job.id, 'attempt', p_job.attempt, 'asked_by', p_job.actor,
            'application', p_job.application, 'format', p_job.format, 'items', p_document -> 'items', 'rows', p_rows,
            'epoch', p_epoch, 'from_sequence', p_job.from_sequence, 'to_sequence', p_to, 'number', p_job.number,
            'recipient', left(encode(sha256(p_job.recipient), 'hex'), 16))::text);
END $$;

-- Makes the view pg_temp.bulk_rows for the transaction under way, which must see one state of the data throughout, and
-- writes the entry. The view is the owner's, so it reads what its reader can't. `outcome` other than done: no view.
CREATE FUNCTION exchange.open_bulk(p_job uuid, p_attempt int, p_epoch bigint)
RETURNS TABLE (outcome text, rows bigint, to_sequence bigint, entry uuid, at timestamptz)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
#variable_conflict use_column
DECLARE
    v_job exchange.bulk_job; v_document jsonb; v_rows bigint; v_to bigint;
BEGIN
    IF current_setting('transaction_isolation') <> 'repeatable read' THEN
        RAISE EXCEPTION 'a copy needs one snapshot' USING ERRCODE = 'invalid_transaction_state';
    END IF;
    SELECT j.* INTO v_job FROM exchange.bulk_job j WHERE j.id = p_job AND j.attempt = p_attempt AND j.state = 'preparing';
    IF NOT FOUND THEN
        RETURN QUERY SELECT 'gone', NULL::bigint, NULL::bigint, NULL::uuid, NULL::timestamptz; RETURN;
    END IF;
    v_document := exchange.bulk_grant(v_job.grant_id, v_job.resource_id);
    IF v_document IS NULL OR p_epoch <> (SELECT e.value FROM exchange.epoch e) THEN
        RETURN QUERY SELECT 'stale', NULL::bigint, NULL::bigint, NULL::uuid, NULL::timestamptz; RETURN;
    END IF;
    v_to := exchange.last_sequence(v_job.provider, v_job.resource_id);
    DROP VIEW IF EXISTS pg_temp.bulk_rows;
    EXECUTE 'CREATE TEMPORARY VIEW bulk_rows AS ' || exchange.copy_query(v_job, v_document);
    GRANT SELECT ON pg_temp.bulk_rows TO shuqiao_bulk;
    EXECUTE 'SELECT count(*) FROM pg_temp.bulk_rows' INTO v_rows;
    RETURN QUERY SELECT 'done', v_rows, v_to, r.entry, r.at FROM exchange.record_prepared(v_job, v_document, p_epoch, v_rows, v_to) r;
END $$;

-- What a later part of a feed is made of, for the transaction under way, which must see one state of the data throughout.
-- A view for each part would cost more than its rows, and what it reads is little; `close_copy` writes the entry.
CREATE FUNCTION exchange.open_part(
    p_job uuid, p_attempt int, p_epoch bigint, OUT outcome text, OUT to_sequence bigint, OUT job exchange.bulk_job, OUT document jsonb
) LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
    IF current_setting('transaction_isolation') <> 'repeatable read' THEN
        RAISE EXCEPTION 'a part needs one snapshot' USING ERRCODE = 'invalid_transaction_state';
    END IF;
    SELECT j.* INTO job FROM exchange.bulk_job j
    WHERE j.id = p_job AND j.attempt = p_attempt AND j.state = 'preparing' AND j.from_sequence > 0;
    IF NOT FOUND THEN
        outcome := 'gone'; RETURN;
    END IF;
    document := exchange.bulk_grant(job.grant_id, job.resource_id);
    IF document IS NULL OR p_epoch <> (SELECT e.value FROM exchange.epoch e) THEN
        outcome := 'stale'; RETURN;
    END IF;
    outcome := 'done';
    to_sequence := exchange.last_sequence(job.provider, job.resource_id);
END $$;

-- Its rows, in the columns of `copy_query`, which the caller names with their types. What has changed is found by the index of
-- `index_feeds`, whatever statistics of an older state say.
CREATE FUNCTION exchange.part_rows(p_job uuid, p_attempt int, p_epoch bigint) RETURNS SETOF record
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog SET enable_seqscan = off SET work_mem = '32MB' AS $$
DECLARE
    v_part record;
BEGIN
    SELECT * INTO v_part FROM exchange.open_part(p_job, p_attempt, p_epoch);
    IF v_part.outcome <> 'done' THEN
        RAISE EXCEPTION 'the part is not to be had' USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN QUERY EXECUTE exchange.copy_query(v_part.job, v_part.document);
END $$;

-- Views of copies that are read on a standby, which can make none itself: each is there for one attempt. Once the standby
-- has it, it has everything that was committed before, every revocation too.
CREATE SCHEMA copying;
GRANT USAGE ON SCHEMA copying TO shuqiao_bulk;

CREATE FUNCTION exchange.open_copy(p_job uuid, p_attempt int, p_epoch bigint) RETURNS TABLE (outcome text, view text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
    v_job exchange.bulk_job; v_document jsonb; v_view text := p_job || '_' || p_attempt;
BEGIN
    SELECT j.* INTO v_job FROM exchange.bulk_job j WHERE j.id = p_job AND j.attempt = p_attempt AND j.state = 'preparing';
    IF NOT FOUND THEN
        RETURN QUERY SELECT 'gone', NULL::text; RETURN;
    END IF;
    v_document := exchange.bulk_grant(v_job.grant_id, v_job.resource_id);
    IF v_document IS NULL OR p_epoch <> (SELECT e.value FROM exchange.epoch e) THEN
        RETURN QUERY SELECT 'stale', NULL::text; RETURN;
    END IF;
    EXECUTE format('DROP VIEW IF EXISTS copying.%I', v_view);
    EXECUTE format('CREATE VIEW copying.%I AS ', v_view) || exchange.copy_query(v_job, v_document);
    EXECUTE format('GRANT SELECT ON copying.%I TO shuqiao_bulk', v_view);
    RETURN QUERY SELECT 'done', v_view;
END $$;

-- Before what was read on a standby becomes a copy: the grant is asked for once more here, where a revocation is first.
CREATE FUNCTION exchange.close_copy(p_job uuid, p_attempt int, p_epoch bigint, p_rows bigint, p_to bigint)
RETURNS TABLE (outcome text, rows bigint, to_sequence bigint, entry uuid, at timestamptz)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
#variable_conflict use_column
DECLARE
    v_job exchange.bulk_job; v_document jsonb;
BEGIN
    SELECT j.* INTO v_job FROM exchange.bulk_job j WHERE j.id = p_job AND j.attempt = p_attempt AND j.state = 'preparing';
    IF NOT FOUND THEN
        RETURN QUERY SELECT 'gone', NULL::bigint, NULL::bigint, NULL::uuid, NULL::timestamptz; RETURN;
    END IF;
    EXECUTE format('DROP VIEW IF EXISTS copying.%I', p_job || '_' || p_attempt);
    v_document := exchange.bulk_grant(v_job.grant_id, v_job.resource_id);
    IF v_document IS NULL OR NOT EXISTS (SELECT FROM exchange.application a WHERE a.id = v_job.application AND a.active)
       OR NOT EXISTS (SELECT FROM exchange.resource r WHERE r.id = v_job.resource_id AND r.active) THEN
        RETURN QUERY SELECT 'stale', NULL::bigint, NULL::bigint, NULL::uuid, NULL::timestamptz; RETURN;
    END IF;
    RETURN QUERY SELECT 'done', p_rows, p_to, r.entry, r.at
        FROM exchange.record_prepared(v_job, v_document, p_epoch, p_rows, p_to) r;
END $$;

-- Ends what `open_bulk` began, in the same transaction: entry, manifest and state appear together or not at all.
CREATE FUNCTION exchange.finish_bulk(
    p_job uuid, p_attempt int, p_rows bigint, p_to bigint, p_wrapped_key bytea, p_manifest text, p_signature bytea,
    p_key_id text, p_keep_s int
) RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
    v_job exchange.bulk_job; v_now timestamptz := clock_timestamp();
BEGIN
    UPDATE exchange.bulk_job SET state = 'ready', rows = p_rows, to_sequence = p_to, wrapped_key = p_wrapped_key,
        manifest = p_manifest, signature = p_signature, key_id = p_key_id, ready_at = v_now,
        expires_at = v_now + make_interval(secs => p_keep_s)
    WHERE id = p_job AND attempt = p_attempt AND state = 'preparing' RETURNING * INTO v_job;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    DROP VIEW IF EXISTS pg_temp.bulk_rows;
    UPDATE exchange.subscription SET position = p_to, last_number = v_job.number
    WHERE id = v_job.subscription AND last_number = v_job.number - 1 AND position = v_job.from_sequence;
    RETURN v_job.subscription IS NULL OR FOUND;
END $$;

-- Gives a job up for a reason; an empty one lets it be tried again later.
CREATE FUNCTION exchange.fail_bulk(p_job uuid, p_attempt int, p_code text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
    v_job exchange.bulk_job; v_id uuid := audit.new_id(); v_at timestamptz := clock_timestamp();
BEGIN
    UPDATE exchange.bulk_job SET state = 'failed', failure = p_code WHERE id = p_job AND attempt = p_attempt AND state = 'preparing'
    RETURNING * INTO v_job;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    PERFORM audit.append(v_id, v_at, 'bulk_prepared', v_job.department, v_job.provider, 'system:bulk', v_job.resource_id, NULL,
        v_job.grant_id, NULL, p_code, jsonb_build_object('event', 'bulk_prepared', 'id', v_id, 'at', v_at,
            'department', v_job.department, 'provider', v_job.provider, 'actor', 'system:bulk', 'resource', v_job.resource_id,
            'grant', v_job.grant_id, 'outcome', p_code, 'job', v_job.id, 'attempt', v_job.attempt, 'asked_by', v_job.actor)::text);
END $$;

-- An index by batch for each list that a feed follows: a part then reads what has changed and not the whole list. Other
-- lists have none, for it makes each merge dearer. A list that is being merged is left for the next time.
CREATE FUNCTION exchange.index_feeds() RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog SET lock_timeout = '2s' AS $$
DECLARE
    v_list text; v_made int := 0;
BEGIN
    FOR v_list IN SELECT DISTINCT s.resource_id FROM exchange.subscription s WHERE s.ended_at IS NULL AND s.last_number > 0
                  AND to_regclass(format('base.%I', s.resource_id || '_by_batch')) IS NULL LOOP
        BEGIN
            EXECUTE format('CREATE INDEX %I ON base.%I (batch_sequence)', v_list || '_by_batch', v_list);
            v_made := v_made + 1;
        EXCEPTION WHEN lock_not_available THEN
            NULL;
        END;
    END LOOP;
    RETURN v_made;
END $$;

-- Begins the next part of each feed that has fallen behind; what waits to be taken bounds how far a feed runs ahead.
CREATE FUNCTION exchange.next_feeds() RETURNS int LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
    v_begun int;
BEGIN
    -- A part that failed is tried again after pauses that grow with the time it has failed, an hour at most.
    UPDATE exchange.bulk_job j SET state = 'waiting', attempt = 0, failure = NULL, tried_at = clock_timestamp()
    WHERE j.subscription IS NOT NULL AND j.state = 'failed' AND exchange.bulk_grant(j.grant_id, j.resource_id) IS NOT NULL
      AND j.tried_at < clock_timestamp() - least(greatest(j.tried_at - j.asked_at, interval '1 minute'), interval '1 hour')
      AND EXISTS (SELECT FROM exchange.application a WHERE a.id = j.application AND a.active)
      AND EXISTS (SELECT FROM exchange.subscription s WHERE s.id = j.subscription AND s.ended_at IS NULL AND s.last_number = j.number - 1);
    INSERT INTO exchange.bulk_job (id, grant_id, resource_id, department, provider, application, actor, channel, format,
                                   subscription, number, from_sequence, asked_at, recipient)
    SELECT gen_random_uuid(), s.grant_id, s.resource_id, s.department, s.provider, s.application, s.application, 'interface', s.format,
           s.id, s.last_number + 1, s.position, clock_timestamp(), s.recipient
    FROM exchange.subscription s
    -- While two parts wait to be taken, what comes goes into one: a consumer is not behind by many small ones.
    WHERE s.ended_at IS NULL AND s.last_number - s.taken_number < 2
      AND EXISTS (SELECT FROM exchange.application a WHERE a.id = s.application AND a.active)
      AND (s.last_number = 0 OR EXISTS (SELECT FROM exchange.batch b
           WHERE b.department = s.provider AND b.resource_id = s.resource_id AND b.sequence > s.position))
      AND exchange.bulk_grant(s.grant_id, s.resource_id) IS NOT NULL
    ON CONFLICT (subscription, number) DO NOTHING;
    GET DIAGNOSTICS v_begun = ROW_COUNT;
    -- Lost in a crash it is begun again at the next look: nobody waits for the disk here.
    PERFORM set_config('synchronous_commit', 'off', true);
    RETURN v_begun;
END $$;

-- Ends what is past its time, or whose grant is over; a part of a feed stays until it is taken, for 30 days at most.
CREATE FUNCTION exchange.expire_bulk() RETURNS int LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
    v_ended int; v_view text;
BEGIN
    -- What a broken off attempt has left; one under way has its job.
    FOR v_view IN SELECT c.relname FROM pg_class c WHERE c.relnamespace = 'copying'::regnamespace AND c.relkind = 'v'
                  AND NOT EXISTS (SELECT FROM exchange.bulk_job j WHERE j.state = 'preparing' AND c.relname = j.id || '_' || j.attempt) LOOP
        EXECUTE format('DROP VIEW IF EXISTS copying.%I', v_view);
    END LOOP;
    UPDATE exchange.bulk_job j SET state = 'expired', wrapped_key = NULL
    WHERE j.state = 'ready' AND (j.expires_at <= clock_timestamp()
        OR EXISTS (SELECT FROM exchange."grant" g WHERE g.id = j.grant_id AND g.revoked_at IS NOT NULL)
        OR EXISTS (SELECT FROM exchange.subscription s WHERE s.id = j.subscription AND s.taken_number >= j.number
                   AND s.taken_at < clock_timestamp() - interval '1 day'));
    GET DIAGNOSTICS v_ended = ROW_COUNT;
    DELETE FROM exchange.used_signature u WHERE u.expires_at <= clock_timestamp();
    -- A feed ends with its grant or its application, and when a part of it went before it was taken: what is subscribed to
    -- then begins with everything there is, so nothing is missing.
    UPDATE exchange.subscription s SET ended_at = clock_timestamp() WHERE s.ended_at IS NULL
        AND (EXISTS (SELECT FROM exchange."grant" g WHERE g.id = s.grant_id AND g.revoked_at IS NOT NULL)
          OR EXISTS (SELECT FROM exchange.application a WHERE a.id = s.application AND NOT a.active)
          OR EXISTS (SELECT FROM exchange.bulk_job j WHERE j.subscription = s.id AND j.number > s.taken_number
                     AND j.state = 'expired'));
    RETURN v_ended;
END $$;

REVOKE ALL ON exchange.subscription, exchange.bulk_job, exchange.bulk_progress, exchange.used_signature, exchange.bulk_delivery,
    exchange.browsed FROM PUBLIC;
REVOKE ALL ON FUNCTION exchange.row_conditions, exchange.written_column, exchange.bulk_grant, exchange.record_once, exchange.ask_bulk,
    exchange.deliver_bulk, exchange.subscribe, exchange.take_feed, exchange.use_signature, exchange.browse, exchange.claim_bulk, exchange.progress_bulk,
    exchange.open_bulk, exchange.open_part, exchange.part_rows, exchange.copy_query, exchange.record_prepared, exchange.open_copy,
    exchange.close_copy, exchange.index_feeds, exchange.finish_bulk, exchange.fail_bulk, exchange.next_feeds, exchange.expire_bulk FROM PUBLIC;
GRANT EXECUTE ON FUNCTION exchange.ask_bulk, exchange.deliver_bulk, exchange.subscribe, exchange.take_feed, exchange.use_signature, exchange.browse
    TO shuqiao_plane;
GRANT SELECT ON exchange.bulk_job, exchange.bulk_progress, exchange.subscription TO shuqiao_plane;
GRANT USAGE ON SCHEMA exchange TO shuqiao_bulk;
GRANT SELECT ON exchange.application, exchange.resource, exchange."grant", exchange.signing_key, exchange.citation, exchange.epoch TO shuqiao_bulk;
GRANT SELECT (id, state, attempt) ON exchange.bulk_job TO shuqiao_bulk;
GRANT EXECUTE ON FUNCTION exchange.claim_bulk, exchange.progress_bulk, exchange.open_bulk, exchange.finish_bulk, exchange.fail_bulk,
    exchange.next_feeds, exchange.expire_bulk, exchange.open_copy, exchange.close_copy, exchange.index_feeds, exchange.last_sequence,
    exchange.open_part, exchange.part_rows TO shuqiao_bulk;
-- Pages list deliveries; the keys of the files are not for them.
GRANT SELECT (id, grant_id, resource_id, department, provider, application, actor, channel, format, subscription, number,
    from_sequence, to_sequence, asked_at, state, attempt, rows, manifest, signature, key_id, failure, ready_at, expires_at, recipient)
    ON exchange.bulk_job TO shuqiao_control;
GRANT SELECT ON exchange.bulk_progress TO shuqiao_control;
GRANT SELECT (job, part, at) ON exchange.bulk_delivery TO shuqiao_control;
GRANT SELECT (id, grant_id, resource_id, department, provider, application, format, started_at, position, last_number,
    taken_number, taken_at, ended_at, recipient) ON exchange.subscription TO shuqiao_control;
