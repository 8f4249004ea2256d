-- What was delivered, in every way: with a call, in a copy or a part of a feed, on a page that was browsed.
--
-- Which version of a record a copy gave is not a question of time. The batches of a list are merged one after another, each
-- in one transaction, under numbers without gaps; a version names the batch it came with, and a copy the last batch its one
-- snapshot saw (`to_sequence`, in its entry and its manifest). So the version in a copy is the newest one whose batch is not
-- after that, unless a batch up to it has removed the record. A call and a browsed page name the version they read.

-- The manifest of a copy, and the entries that show it: who asked, that it was prepared, the first start of each part's
-- download, and for a part of a feed that it was taken. Null for an entry that is about no copy that was ever ready.
CREATE FUNCTION exchange.evidence_of_copy(p_entry uuid) RETURNS jsonb
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
    v_entry audit.entry; v_said jsonb; v_job exchange.bulk_job; v_id uuid := p_entry; v_held text;
BEGIN
    SELECT e.* INTO v_entry FROM audit.entry e
    WHERE e.id = p_entry AND e.event IN ('bulk_asked', 'bulk_prepared', 'bulk_delivered', 'feed_taken', 'copies_deleted')
        AND e.body IS NOT NULL;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    v_said := coalesce(nullif(split_part(v_entry.body, E'\n', 2), ''), '{}')::jsonb || split_part(v_entry.body, E'\n', 1)::jsonb;
    IF v_entry.event = 'feed_taken' THEN
        SELECT j.id INTO v_id FROM exchange.bulk_job j
        WHERE j.subscription = (v_said ->> 'subscription')::uuid AND j.number = (v_said ->> 'number')::int;
    ELSIF v_entry.event = 'copies_deleted' THEN
        -- The newest of what was deleted: a copy, or the last part of a feed.
        SELECT j.id INTO v_id FROM (
            SELECT (CASE WHEN h ->> 'way' IN ('copy', 'feed') THEN h ->> 'id' END)::uuid AS id FROM jsonb_array_elements(v_said -> 'held') h
        ) held JOIN exchange.bulk_job j ON j.id = held.id OR j.subscription = held.id
        WHERE j.manifest IS NOT NULL ORDER BY j.number DESC NULLS LAST, j.asked_at DESC LIMIT 1;
    ELSIF v_entry.event <> 'bulk_asked' THEN
        v_id := (v_said ->> 'job')::uuid;
    END IF;
    SELECT j.* INTO v_job FROM exchange.bulk_job j WHERE j.id = v_id AND j.manifest IS NOT NULL;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    v_held := coalesce(v_job.subscription, v_job.id)::text;
    RETURN jsonb_build_object(
        'manifest', v_job.manifest, 'signature', translate(encode(v_job.signature, 'base64'), E'\n', ''), 'key_id', v_job.key_id,
        'entries', (SELECT jsonb_agg(id ORDER BY n) FROM (
            SELECT 0, coalesce(v_job.subscription, v_job.id) UNION SELECT 1, (v_job.manifest::jsonb ->> 'entry')::uuid
            UNION (SELECT 1 + d.part, d.entry FROM exchange.bulk_delivery d WHERE d.job = v_job.id ORDER BY d.part LIMIT 64)
            UNION SELECT 1000000, v_job.taken
            UNION (SELECT 1000001, d.entry FROM exchange.recall r JOIN exchange.deletion d ON d.recall = r.number
                   WHERE r.resource_id = v_job.resource_id AND r.application = v_job.application
                     AND (r.held @> jsonb_build_array(jsonb_build_object('id', v_held))
                          OR r.held @> jsonb_build_array(jsonb_build_object('earlier', jsonb_build_array(v_held)))))
            ) AS found(n, id) WHERE id <> p_entry),
        'keys', (SELECT jsonb_agg(jsonb_build_object('id', k.id, 'purpose', k.purpose, 'algorithm', k.algorithm,
                     'public_key', translate(encode(k.public_key, 'base64'), E'\n', ''),
                     'certificate', coalesce(translate(encode(k.certificate, 'base64'), E'\n', ''), '')) ORDER BY k.id)
                 FROM exchange.signing_key k WHERE k.purpose IN ('log', 'promise')));
END $$;

-- The query of all versions of a list's records: the current ones, and those that were replaced.
CREATE FUNCTION exchange.versions_query(p_resource text) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog AS $$
    SELECT format('SELECT b.*, NULL::timestamptz AS replaced_at FROM base.%1$I b UNION ALL SELECT %2$s, h.replaced_at '
        'FROM base_history.%1$I h', p_resource, (SELECT string_agg(format('h.%I', a.attname), ', ' ORDER BY a.attnum)
            FROM pg_attribute a WHERE a.attrelid = format('base.%I', p_resource)::regclass AND a.attnum > 0 AND NOT a.attisdropped))
$$;

-- In which copies, parts of feeds and browsed pages some records were, newest first; p_reader sees those it gave or got, null
-- all. `contained` is null where it can't be said: a list that another department took over counts its batches anew.
-- `gone` is the word of a part that the record no longer is in the grant. `values` are what the reader may see of them.
CREATE FUNCTION exchange.deliveries(p_resource text, p_records uuid[], p_reader text, p_most int)
RETURNS TABLE (record uuid, event text, entry uuid, at timestamptz, department text, provider text, actor text, grant_id text,
    job uuid, number int, up_to bigint, version int, contained boolean, gone boolean, fetched uuid, fetched_at timestamptz,
    "values" jsonb)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog SET timezone = 'UTC' AS $$
#variable_conflict use_column
BEGIN
    IF p_resource !~ '^r[0-9]{6}[a-z2-7]{10}$' OR to_regclass('base.' || p_resource) IS NULL THEN
        RETURN;
    END IF;
    RETURN QUERY EXECUTE format($query$
    WITH known AS MATERIALIZED (
        SELECT v.record_id, v.version, v.source_department, v.batch_sequence, to_json(v) AS whole, d.batch_sequence AS removed_by,
               d.department AS removed_in
        FROM (%s) v LEFT JOIN exchange.removal d ON d.resource_id = $1 AND d.record_id = v.record_id AND d.version = v.version
        WHERE v.record_id = ANY ($2)),
    copy AS (
        SELECT r.record_id AS record, 'bulk_prepared' AS event, (j.manifest::jsonb ->> 'entry')::uuid AS entry, j.ready_at AS at,
               j.department, j.provider, j.actor, j.grant_id, j.id AS job, j.number, j.to_sequence AS up_to, v.version,
               CASE WHEN f.foreign THEN NULL ELSE w.holds END AS contained,
               NOT f.foreign AND NOT w.holds AS gone, d.entry AS fetched, d.at AS fetched_at, v.whole,
               (SELECT jsonb_agg(i ->> 'field') FROM jsonb_array_elements(j.manifest::jsonb -> 'items') i
                WHERE $3 IS NOT DISTINCT FROM j.provider OR NOT coalesce((i ->> 'masked')::boolean, false)) AS items
        FROM (SELECT DISTINCT k.record_id FROM known k) r
        JOIN exchange.bulk_job j ON j.resource_id = $1 AND j.manifest IS NOT NULL AND ($3 IS NULL OR $3 IN (j.department, j.provider))
        LEFT JOIN LATERAL (SELECT k.* FROM known k WHERE k.record_id = r.record_id AND k.source_department = j.provider
                           AND k.batch_sequence <= j.to_sequence ORDER BY k.version DESC LIMIT 1) v ON true
        CROSS JOIN LATERAL (SELECT coalesce(v.removed_in <> j.provider, false) OR EXISTS (SELECT FROM known k WHERE k.record_id = r.record_id
                            AND k.source_department <> j.provider AND k.version > coalesce(v.version, 0)) AS foreign) f
        JOIN exchange."grant" g ON g.id = j.grant_id AND (f.foreign OR v.batch_sequence > coalesce(j.from_sequence, 0)
            OR v.removed_by > j.from_sequence AND v.removed_by <= j.to_sequence)
        -- What was removed before the copy was made is not in it, whatever it was like.
        CROSS JOIN LATERAL (SELECT f.foreign OR coalesce(v.removed_by > j.to_sequence, true)
                                   AND exchange.fulfils(v.whole, g.document::jsonb -> 'rows') AS holds) w
        LEFT JOIN LATERAL (SELECT d.entry, d.at FROM exchange.bulk_delivery d WHERE d.job = j.id ORDER BY d.at LIMIT 1) d ON true
        -- Of what no longer fulfils the conditions a part tells only where it did at the part before.
        WHERE w.holds OR j.from_sequence > 0 AND EXISTS (
            SELECT FROM (SELECT k.* FROM known k WHERE k.record_id = r.record_id AND k.batch_sequence <= j.from_sequence
                         ORDER BY k.version DESC LIMIT 1) k
            WHERE coalesce(k.removed_by > j.from_sequence, true) AND exchange.fulfils(k.whole, g.document::jsonb -> 'rows'))),
    browsed AS (
        SELECT s.record_id AS record, e.event, e.id AS entry, e.occurred_at AS at, e.department, e.provider, e.actor, e.grant_id,
               NULL::uuid AS job, NULL::int AS number, NULL::bigint AS up_to, s.version, true AS contained, false AS gone,
               e.id AS fetched, e.occurred_at AS fetched_at, k.whole,
               -- What of a page was masked is not recorded: who browsed is shown no value here.
               CASE WHEN $3 IS NOT DISTINCT FROM e.provider THEN split_part(e.body, E'\n', 1)::jsonb -> 'items' END AS items
        FROM exchange.browsed s JOIN audit.entry e ON e.id = s.entry AND e.resource_id = $1
        LEFT JOIN known k ON k.record_id = s.record_id AND k.version = s.version
        WHERE s.record_id = ANY ($2) AND ($3 IS NULL OR $3 IN (e.department, e.provider))),
    called AS (
        SELECT e.record_id AS record, e.event, e.id AS entry, e.occurred_at AS at, e.department, e.provider, e.actor, e.grant_id,
               NULL::uuid AS job, NULL::int AS number, NULL::bigint AS up_to, s.version, true AS contained, false AS gone,
               e.id AS fetched, e.occurred_at AS fetched_at, k.whole,
               (SELECT jsonb_agg(i) FROM jsonb_array_elements_text(coalesce(s.said -> 'items', '[]')) i
                WHERE $3 = e.provider OR e.event = 'query' AND NOT coalesce(s.said -> 'masked', '[]') ? i
                      AND NOT coalesce(s.said -> 'pseudonyms', '[]') ? i) AS items
        FROM audit.entry e
        CROSS JOIN LATERAL (SELECT split_part(e.body, E'\n', 1)::jsonb AS said,
                                   (nullif(split_part(e.body, E'\n', 2), '')::jsonb ->> 'version')::int AS version) s
        LEFT JOIN known k ON k.record_id = e.record_id AND k.version = s.version
        WHERE e.record_id = ANY ($2) AND e.resource_id = $1 AND e.event IN ('verify', 'query') AND e.outcome = 'answered'
              AND e.body IS NOT NULL AND ($3 IS NULL OR $3 IN (e.department, e.provider))
              AND ($3 IS NOT DISTINCT FROM e.provider OR e.event = 'query'))
    SELECT record, event, entry, at, department, provider, actor, grant_id, job, number, up_to, version, contained, gone,
           fetched, fetched_at, CASE WHEN contained AND $3 IS NOT NULL THEN (
               SELECT jsonb_object_agg(i, whole ->> i) FROM jsonb_array_elements_text(items) i WHERE whole::jsonb ? i) END
    FROM (SELECT * FROM copy UNION ALL SELECT * FROM browsed UNION ALL SELECT * FROM called) found
    WHERE version IS NOT NULL OR contained IS NULL ORDER BY at DESC LIMIT $4 $query$, exchange.versions_query(p_resource))
    USING p_resource, p_records, p_reader, p_most;
END $$;

-- The entries of copies and browsed pages that some records were in, for whoever has just searched for whose they are: the
-- search stands in the log already, and only the list's department and supervision can make one.
CREATE FUNCTION exchange.entries_with(p_searched uuid, p_records uuid[]) RETURNS SETOF uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog AS $$
    SELECT DISTINCT d.entry FROM audit.entry e, exchange.deliveries(e.resource_id, p_records, NULL, 1000) d
    WHERE e.id = p_searched AND e.event = 'vault_searched' AND d.event NOT IN ('verify', 'query')
$$;

-- What was delivered with a call: the plain items it answered with, in the version it read, from the list or its history, with
-- where that version came from; and in what else the same record was given. Written to the log before it is given. Null for
-- who is neither provider nor caller; a caller sees only what an answer gave, so nothing of a comparison and no masked item.
-- Identity items stay in the vault. What a department's own node answered was never here: its line of the node's log is named.
CREATE FUNCTION exchange.delivered(p_entry uuid, p_reader text, p_actor text, p_reason text) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog SET timezone = 'UTC' AS $$
DECLARE
    v_at timestamptz := clock_timestamp();
    v_id uuid := audit.new_id();
    v_entry audit.entry;
    v_said jsonb;
    v_seen jsonb;
    v_row jsonb;
    v_items text[];
    v_others jsonb;
BEGIN
    SELECT e.* INTO v_entry FROM audit.entry e
    WHERE e.id = p_entry AND e.event IN ('verify', 'query') AND e.outcome = 'answered' AND p_reader IN (e.department, e.provider);
    IF NOT FOUND OR v_entry.body IS NULL OR v_entry.resource_id !~ '^r[0-9]{6}[a-z2-7]{10}$' THEN
        RETURN NULL;
    END IF;
    v_said := split_part(v_entry.body, E'\n', 1)::jsonb;
    v_seen := split_part(v_entry.body, E'\n', 2)::jsonb;
    IF v_entry.record_id IS NULL AND NOT v_seen ? 'line' THEN
        RETURN NULL;
    END IF;
    PERFORM audit.append(v_id, v_at, 'delivery_shown', p_reader, v_entry.provider, p_actor, v_entry.resource_id, v_entry.record_id,
        v_entry.grant_id, NULL, 'shown', jsonb_build_object('event', 'delivery_shown', 'id', v_id, 'at', v_at,
            'department', p_reader, 'provider', v_entry.provider, 'actor', p_actor, 'resource', v_entry.resource_id,
            'record', v_entry.record_id, 'grant', v_entry.grant_id, 'outcome', 'shown', 'delivery', p_entry, 'reason', p_reason)::text);
    IF v_entry.record_id IS NULL THEN
        RETURN jsonb_build_object('found', NULL, 'values', '{}'::jsonb, 'withheld', false, 'line', v_seen -> 'line',
            'line_digest', v_seen -> 'line_digest', 'items', coalesce(v_said -> 'items', '[]'));
    END IF;
    IF p_reader <> v_entry.provider AND v_entry.event <> 'query' THEN
        -- That the same record is in a copy would say that there is one.
        RETURN jsonb_build_object('found', NULL, 'values', '{}'::jsonb, 'withheld', true);
    END IF;
    SELECT coalesce(jsonb_agg(to_jsonb(d) ORDER BY d.at DESC), '[]') INTO v_others
    FROM exchange.deliveries(v_entry.resource_id, ARRAY[v_entry.record_id], p_reader, 101) d WHERE d.entry <> p_entry;
    EXECUTE format('SELECT to_jsonb(v) FROM (%s) v WHERE v.record_id = $1 AND v.version = $2', exchange.versions_query(v_entry.resource_id))
    INTO v_row USING v_entry.record_id, (v_seen ->> 'version')::int;
    SELECT coalesce(array_agg(i), '{}') INTO v_items FROM jsonb_array_elements_text(coalesce(v_said -> 'items', '[]')) i
    WHERE p_reader = v_entry.provider
       OR NOT coalesce(v_said -> 'masked', '[]') ? i AND NOT coalesce(v_said -> 'pseudonyms', '[]') ? i;
    RETURN jsonb_build_object('found', v_row IS NOT NULL, 'withheld', false, 'others', v_others,
        'values', coalesce((SELECT jsonb_object_agg(k, v_row ->> k) FROM unnest(v_items) k WHERE v_row ? k), '{}'),
        'in_vault', coalesce((SELECT jsonb_agg(k) FROM unnest(v_items) k WHERE NOT coalesce(v_row ? k, false)), '[]'),
        'version', v_row -> 'version', 'identity_version', v_row -> 'identity_version',
        'source_department', v_row -> 'source_department', 'source_system', v_row -> 'source_system',
        'batch_sequence', v_row -> 'batch_sequence', 'received_at', v_row -> 'received_at', 'replaced_at', v_row -> 'replaced_at');
END $$;

REVOKE ALL ON FUNCTION exchange.evidence_of_copy, exchange.versions_query, exchange.deliveries, exchange.entries_with,
    exchange.delivered FROM PUBLIC;
GRANT EXECUTE ON FUNCTION exchange.evidence_of_copy TO shuqiao_auditor, shuqiao_control;
GRANT EXECUTE ON FUNCTION exchange.entries_with, exchange.delivered TO shuqiao_control;
