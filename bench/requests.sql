-- Requests of a city over three years, with items, history, terms and grants, all invented.
-- One in ten is asked by the housing bureau and one in ten of the health commission's births, so that two
-- departments have long lists; six in a hundred still wait or are disputed.
SET LOCAL session_replication_role = replica;
SET LOCAL synchronous_commit = off;

CREATE TEMPORARY TABLE made ON COMMIT DROP AS
WITH places AS (
    SELECT array_agg(r.id ORDER BY r.id) AS resources, max(r.id) FILTER (WHERE r.list_key = 'birth') AS births
    FROM catalogue_resource r
), askers AS (
    SELECT array_agg(code ORDER BY code) AS codes FROM organisations_department WHERE roles @> '["requester"]'
), drawn AS (
    SELECT n,
        CASE WHEN n %% 10 = 1 THEN places.births
             ELSE places.resources[(1 + (n * 7919) %% cardinality(places.resources))::int] END AS resource_id,
        CASE WHEN n %% 10 = 2 THEN '440100-housing'
             ELSE askers.codes[(1 + (n * 104729) %% cardinality(askers.codes))::int] END AS requester_id,
        (n * 31) %% 100 AS lot
    FROM generate_series(1::bigint, %(rows)s) AS n, places, askers
)
SELECT d.n, 'R-2020-' || (1000000 + d.n) AS number, d.resource_id, r.department_id AS provider_id, d.lot,
    CASE WHEN d.requester_id = r.department_id THEN '440100-data' ELSE d.requester_id END AS requester_id,
    CASE WHEN d.lot < 5 THEN 'submitted' WHEN d.lot < 6 THEN 'negotiation' WHEN d.lot < 10 THEN 'refused'
         WHEN d.lot < 12 THEN 'withdrawn' WHEN d.lot < 20 THEN 'partly_approved' ELSE 'approved' END AS state,
    CASE WHEN d.lot < 5 THEN 'waiting' WHEN d.lot < 6 THEN 'disputed' WHEN d.lot < 10 THEN 'refused'
         WHEN d.lot < 12 THEN 'closed' ELSE 'granted' END AS phase,
    CASE WHEN d.lot < 6 THEN now() - (d.n %% 12)::int * interval '1 day'
         ELSE now() - interval '20 days' - (d.n %% 1000)::int * interval '1 day' END AS submitted_at
FROM drawn d JOIN catalogue_resource r ON r.id = d.resource_id;

INSERT INTO requests_request (number, requester_id, provider_id, resource_id, created_by_id, mode, duty_id,
    purpose, case_wording, accepted_conditions, wanted_until, regulation, state, phase, created_at, changed_at,
    submitted_at, decided_at, decided_by_id, granted_mode, answer_note, must_share, round)
SELECT number, requester_id, provider_id, resource_id, (SELECT min(id) FROM accounts_account), 'verify',
    (SELECT min(id) FROM organisations_duty), '样例用途 ' || n, '办件编号', '["own_duty", "no_profit"]',
    submitted_at::date + 300, 'guangzhou-2016', state, phase, submitted_at, submitted_at + interval '5 days',
    submitted_at, CASE WHEN phase IN ('granted', 'refused') THEN submitted_at + interval '5 days' END,
    CASE WHEN phase IN ('granted', 'refused') THEN (SELECT max(id) FROM accounts_account) END,
    CASE WHEN phase = 'granted' THEN 'verify' ELSE '' END, '', '', 1
FROM made ORDER BY submitted_at;

CREATE TEMPORARY TABLE keyed ON COMMIT DROP AS
SELECT r.id, m.* FROM made m JOIN requests_request r ON r.number = m.number;

INSERT INTO requests_requestitem (request_id, item_id, reason, granted, refusal_reason)
SELECT k.id, i.id, '核对', CASE k.phase WHEN 'granted' THEN true WHEN 'refused' THEN false END,
    CASE k.phase WHEN 'refused' THEN '样例理由' ELSE '' END
FROM keyed k JOIN LATERAL (
    SELECT id FROM catalogue_item WHERE resource_id = k.resource_id ORDER BY number, part LIMIT 2
) i ON true;

INSERT INTO requests_requestevent (request_id, code, from_state, to_state, decides, occurred_at, round, params,
    articles)
SELECT id, 'submit', 'draft', 'submitted', false, submitted_at, 1, '{}'::jsonb, '{guangzhou-2016 art. 35(1)}'::varchar[] FROM keyed
UNION ALL
SELECT id, 'duty_confirmed', 'submitted', 'submitted', false, submitted_at, 1, '{}'::jsonb,
    '{guangzhou-2016 art. 4(1)}'::varchar[] FROM keyed
UNION ALL
SELECT id, CASE phase WHEN 'granted' THEN 'approve' ELSE 'refuse' END, 'submitted', state, true,
    submitted_at + interval '5 days', 1, '{}'::jsonb, '{guangzhou-2016 art. 35(1)}'::varchar[]
FROM keyed WHERE phase IN ('granted', 'refused');

INSERT INTO clocks_clock (kind, number, deadline, round, regulation, holder_id, other_id, starts_on,
    working_days, extended_days, times_extended, paused_on, resumed_on, due_on, provisional, state, ended_on)
SELECT 'request', number, 'reply', 1, 'guangzhou-2016', provider_id, requester_id, submitted_at::date, 10, 0, 0,
    '{}'::date[], '{}'::date[], submitted_at::date + 14, false,
    CASE phase WHEN 'waiting' THEN 'running' WHEN 'disputed' THEN 'over' WHEN 'closed' THEN 'void' ELSE 'met' END,
    CASE WHEN phase IN ('waiting', 'disputed') THEN NULL ELSE submitted_at::date + 5 END
FROM made
UNION ALL
SELECT 'request', number, 'provide', 1, 'guangzhou-2016', provider_id, requester_id, submitted_at::date + 5, 5, 0,
    0, '{}'::date[], '{}'::date[], submitted_at::date + 12, false, 'met', submitted_at::date + 5
FROM made WHERE phase = 'granted';

INSERT INTO grants_grant (number, request_number, round, resource_id, provider_id, consumer_id, mode, match,
    fields, purpose, valid_from, valid_until, document, signature, key_id, regulation, state, phase, issued_at,
    opened_at, suspended_reason, ended_at, ended_by, revoked_reason)
SELECT 'G-2020-' || (1000000 + n), number, 1, resource_id, provider_id, requester_id, 'verify', 'each', '["x"]',
    '样例用途', submitted_at::date + 5, submitted_at::date + 300, '{}', '\x00', 'sample', 'guangzhou-2016',
    CASE WHEN submitted_at < now() - interval '300 days' THEN 'expired' ELSE 'active' END,
    CASE WHEN submitted_at < now() - interval '300 days' THEN 'closed' ELSE 'granted' END,
    submitted_at + interval '5 days', submitted_at + interval '5 days', '',
    CASE WHEN submitted_at < now() - interval '300 days' THEN now() END,
    CASE WHEN submitted_at < now() - interval '300 days' THEN 'expire' ELSE '' END, ''
FROM made WHERE phase = 'granted';
