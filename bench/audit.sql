-- tables
CREATE SCHEMA bench;
CREATE UNLOGGED TABLE bench.said (n int PRIMARY KEY, id uuid, at timestamptz, body text);
CREATE TABLE bench.plain (LIKE audit.entry INCLUDING DEFAULTS);
ALTER TABLE bench.plain ADD PRIMARY KEY (id), ALTER salt DROP NOT NULL, ALTER digest DROP NOT NULL;
CREATE INDEX ON bench.plain (department, occurred_at DESC);
CREATE INDEX ON bench.plain (provider, occurred_at DESC);
-- say: what is written stands ready, so that only the writing is measured; about the size of a query's entry
TRUNCATE bench.said;
INSERT INTO bench.said
SELECT n, id, at, json_build_object('event', 'query', 'id', id, 'at', at, 'department', '440100-housing',
    'provider', '440100-health', 'actor', 'app-bench/lin', 'resource', 'r440100x7kq2m5dab', 'grant', 'G-2026-0001',
    'case', 'GZF-1', 'outcome', 'answered', 'purpose', 'housing-rental', 'request', repeat('0123456789abcdef', 4),
    'items', json_build_array('newborn_name', 'sex', 'birth_date'), 'mode', 'query', 'found', true, 'version', 1)::text
FROM (SELECT n, audit.new_id() AS id, clock_timestamp() AS at FROM generate_series(0, {count} - 1) n) x
-- plain
INSERT INTO bench.plain (id, occurred_at, event, department, provider, actor, resource_id, grant_id, case_no, outcome, body)
SELECT id, at, 'query', '440100-housing', '440100-health', 'app-bench/lin', 'r440100x7kq2m5dab', 'G-2026-0001', 'GZF-1',
       'answered', body
FROM bench.said WHERE n >= %s AND n < %s
-- audit: the way of a plane's batch
SELECT count(*) FROM (
    SELECT array_agg(id) AS ids, array_agg(at) AS ats, array_agg(body) AS bodies, count(*)::int AS rows
    FROM bench.said WHERE n >= %s AND n < %s) s,
  exchange.record_refusals((SELECT value FROM exchange.epoch), s.ids, s.ats, array_fill('query'::text, ARRAY[rows]),
    array_fill('440100-housing'::text, ARRAY[rows]), array_fill('440100-health'::text, ARRAY[rows]),
    array_fill('app-bench/lin'::text, ARRAY[rows]), array_fill('r440100x7kq2m5dab'::text, ARRAY[rows]),
    array_fill('G-2026-0001'::text, ARRAY[rows]), array_fill('GZF-1'::text, ARRAY[rows]),
    array_fill('answered'::text, ARRAY[rows]), s.bodies) f
WHERE f.written
