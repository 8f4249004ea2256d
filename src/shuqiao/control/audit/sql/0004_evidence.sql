-- What is put together to show a call to a third party.

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

REVOKE ALL ON FUNCTION exchange.evidence FROM PUBLIC;
GRANT EXECUTE ON FUNCTION exchange.evidence TO shuqiao_auditor, shuqiao_control;
