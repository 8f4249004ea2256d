-- A record that is gone from its source stays, for history refers to it; it is found by its key, so that one that comes back
-- is the same record.

ALTER TABLE vault.record ADD COLUMN removed boolean NOT NULL DEFAULT false;
