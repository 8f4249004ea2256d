-- The vault's keys are derived from a root key. The database holds the root wrapped under the master key, which lies in a
-- file elsewhere: another master key wraps the same root, and nothing made with it has to be made anew. Two rows stand
-- here only while the master key is being changed.

CREATE TABLE vault.wrapped_root (
    master_id text PRIMARY KEY CHECK (length(master_id) = 16),
    wrapped bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
