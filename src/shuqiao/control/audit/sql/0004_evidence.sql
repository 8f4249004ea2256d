-- What is put together to show a call to a third party, and what was delivered.

-- Everything the hub keeps about one call besides its entry and the tree: the key it was signed with, the head that names it,
-- the promise it was given (sealed), its grant, and the platform's public keys. Nothing here is a value or a number of a person.
CREATE FUNCTION exchange.evidence(p_entry uuid) RETURNS jsonb
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog AS $$
    WITH entry AS (
        SELECT e.id, e.occurred_at, e.grant_id, e.resource_id, e.body, split_part(e.body, E'\n', 1)::jsonb AS said
        FROM audit.entry e
        -- Only what the plane recorded of a signed request says how it was signed.
        WHERE e.id = p_entry AND split_part(e.body, E'\n', 1)::jsonb ?& ARRAY['application', 'algorithm', 'request'])
    SELECT jsonb_build_object(
        'resource', e.resource_id, 'algorithm', e.said ->> 'algorithm', 'regulation', e.said ->> 'regulation',
        'sealed', coalesce(nullif(e.said ->> 'sealed', ''), (
            SELECT split_part(c.body, E'\n', 1)::jsonb ->> 'sealed' FROM audit.entry c WHERE c.id = (e.said ->> 'call')::uuid)),
        'key', (SELECT jsonb_build_object('id', k.id, 'application', k.application, 'department', k.department,
                    'algorithm', k.algorithm, 'public_key', translate(encode(k.public_key, 'base64'), E'\n', ''),
                    'certificate', coalesce(translate(encode(k.certificate, 'base64'), E'\n', ''), ''))
                FROM exchange.application_key k WHERE k.id = e.said ->> 'key' AND k.application = e.said ->> 'application'),
        'head', (SELECT jsonb_build_object('body', h.body, 'covered', h.covered, 'algorithm', h.algorithm,
                    'signature', translate(encode(h.signature, 'base64'), E'\n', ''), 'key_id', h.key_id)
                 FROM exchange.session_head h
                 WHERE h.session = (e.said ->> 'session')::uuid AND (e.said ->> 'number')::int = ANY (h.confirmed)
                 ORDER BY h.received_at LIMIT 1),
        'promise', (SELECT jsonb_build_object('at', to_char(p.at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
                        'key_id', p.key_id, 'signature', encode(p.signature, 'hex'), 'index', array_position(p.entries, e.id) - 1,
                        'entries', to_jsonb(p.entries), 'sealed', translate(encode(p.sealed, 'base64'), E'\n', ''))
                    FROM exchange.promise p
                    WHERE p.at BETWEEN e.occurred_at - interval '1 minute' AND e.occurred_at + interval '10 minutes'
                      AND e.id = ANY (p.entries) ORDER BY p.at LIMIT 1),
        'grant', (SELECT jsonb_build_object('document', g.document, 'key_id', g.key_id,
                      'signature', translate(encode(g.signature, 'base64'), E'\n', ''))
                  FROM exchange."grant" g WHERE g.id = e.grant_id),
        'keys', (SELECT jsonb_agg(jsonb_build_object('id', k.id, 'purpose', k.purpose, 'algorithm', k.algorithm,
                     'public_key', translate(encode(k.public_key, 'base64'), E'\n', ''),
                     'certificate', coalesce(translate(encode(k.certificate, 'base64'), E'\n', ''), '')) ORDER BY k.id)
                 FROM exchange.signing_key k WHERE k.purpose IN ('grants', 'log', 'promise')))
    FROM entry e
$$;

-- What was delivered with a call: the plain items it answered with, in the version it read, from the list or its history, with
-- where that version came from. Written to the log before it is given. Null for who is neither provider nor caller; a caller
-- sees only what an answer gave, so nothing of a comparison and no masked item. Identity items stay in the vault.
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
BEGIN
    SELECT e.* INTO v_entry FROM audit.entry e
    WHERE e.id = p_entry AND e.event IN ('verify', 'query') AND e.outcome = 'answered' AND p_reader IN (e.department, e.provider)
          -- What a department's own node answered was never here.
          AND e.record_id IS NOT NULL;
    IF NOT FOUND OR v_entry.body IS NULL OR v_entry.resource_id !~ '^r[0-9]{6}[a-z2-7]{10}$' THEN
        RETURN NULL;
    END IF;
    v_said := split_part(v_entry.body, E'\n', 1)::jsonb;
    v_seen := split_part(v_entry.body, E'\n', 2)::jsonb;
    PERFORM audit.append(v_id, v_at, 'delivery_shown', p_reader, v_entry.provider, p_actor, v_entry.resource_id, v_entry.record_id,
        v_entry.grant_id, NULL, 'shown', jsonb_build_object('event', 'delivery_shown', 'id', v_id, 'at', v_at,
            'department', p_reader, 'provider', v_entry.provider, 'actor', p_actor, 'resource', v_entry.resource_id,
            'record', v_entry.record_id, 'grant', v_entry.grant_id, 'outcome', 'shown', 'delivery', p_entry, 'reason', p_reason)::text);
    IF p_reader <> v_entry.provider AND v_entry.event <> 'query' THEN
        RETURN jsonb_build_object('found', NULL, 'values', '{}'::jsonb, 'withheld', true);
    END IF;
    EXECUTE format('SELECT to_jsonb(v) FROM (SELECT b.*, NULL::timestamptz AS replaced_at FROM base.%1$I b UNION ALL
        SELECT %2$s, h.replaced_at FROM base_history.%1$I h) v WHERE v.record_id = $1 AND v.version = $2', v_entry.resource_id,
        (SELECT string_agg(format('h.%I', a.attname), ', ' ORDER BY a.attnum) FROM pg_attribute a
         WHERE a.attrelid = format('base.%I', v_entry.resource_id)::regclass AND a.attnum > 0 AND NOT a.attisdropped))
    INTO v_row USING v_entry.record_id, (v_seen ->> 'version')::int;
    SELECT coalesce(array_agg(i), '{}') INTO v_items FROM jsonb_array_elements_text(coalesce(v_said -> 'items', '[]')) i
    WHERE p_reader = v_entry.provider
       OR NOT coalesce(v_said -> 'masked', '[]') ? i AND NOT coalesce(v_said -> 'pseudonyms', '[]') ? i;
    RETURN jsonb_build_object('found', v_row IS NOT NULL, 'withheld', false,
        'values', coalesce((SELECT jsonb_object_agg(k, v_row ->> k) FROM unnest(v_items) k WHERE v_row ? k), '{}'),
        'in_vault', coalesce((SELECT jsonb_agg(k) FROM unnest(v_items) k WHERE NOT coalesce(v_row ? k, false)), '[]'),
        'version', v_row -> 'version', 'identity_version', v_row -> 'identity_version',
        'source_department', v_row -> 'source_department', 'source_system', v_row -> 'source_system',
        'batch_sequence', v_row -> 'batch_sequence', 'received_at', v_row -> 'received_at', 'replaced_at', v_row -> 'replaced_at');
END $$;

REVOKE ALL ON FUNCTION exchange.evidence, exchange.delivered FROM PUBLIC;
GRANT EXECUTE ON FUNCTION exchange.evidence TO shuqiao_auditor, shuqiao_control;
GRANT EXECUTE ON FUNCTION exchange.delivered TO shuqiao_control;
