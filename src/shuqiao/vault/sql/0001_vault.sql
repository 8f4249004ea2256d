-- The vault's own database. Every value that names somebody is either encrypted (payload) or a keyed HMAC
-- (blind, key_blind, content); the keys are not here. Numbers of the key and of the written form stand
-- beside what was made with them, so that both can change later.

CREATE TABLE vault.key_version (
    version smallint PRIMARY KEY,
    written_form smallint NOT NULL,
    check_value bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE vault.resource (
    id text PRIMARY KEY,
    spec bytea NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now()
);

-- A person or body is a random id and nothing else.
CREATE TABLE vault.subject (
    id uuid PRIMARY KEY
);

CREATE TABLE vault.identifier (
    kind text NOT NULL CHECK (kind IN ('citizen_id', 'credit_code')),
    blind bytea NOT NULL CHECK (octet_length(blind) = 32),
    subject_id uuid NOT NULL REFERENCES vault.subject,
    key_version smallint NOT NULL,
    PRIMARY KEY (kind, blind)
);

-- related_*: somebody else whom the record names by number, such as a mother, an employer or a legal
-- representative; the two arrays run side by side. fillfactor leaves room for a new sequence or version
-- beside the old row, without touching any index.
CREATE TABLE vault.record (
    record_id uuid PRIMARY KEY,
    resource text NOT NULL,
    key_blind bytea NOT NULL CHECK (octet_length(key_blind) = 32),
    subject_id uuid NOT NULL REFERENCES vault.subject,
    related_fields text[] NOT NULL,
    related_subjects uuid[] NOT NULL,
    version integer NOT NULL CHECK (version > 0),
    payload bytea NOT NULL,
    content bytea NOT NULL CHECK (octet_length(content) = 32),
    department text NOT NULL,
    sequence bigint NOT NULL CHECK (sequence > 0),
    key_version smallint NOT NULL,
    UNIQUE (resource, key_blind),
    CHECK (cardinality(related_fields) = cardinality(related_subjects))
) WITH (fillfactor = 85);

-- The blind covers resource and field too, so that one name in two lists shows no likeness. 16 bytes find a
-- name as surely as 32 and halve the largest index.
CREATE TABLE vault.name_index (
    blind bytea NOT NULL CHECK (octet_length(blind) = 16),
    record_id uuid NOT NULL,
    PRIMARY KEY (blind, record_id)
);

CREATE TABLE vault.operation (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    client text NOT NULL,
    op text NOT NULL,
    resource text,
    count integer NOT NULL CHECK (count >= 0),
    entries_digest bytea NOT NULL,
    outcome text NOT NULL
);
