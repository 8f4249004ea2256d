-- A record that is gone from its source stays: history and the log refer to it, and one that comes back is the same record.

ALTER TABLE vault.record ADD COLUMN removed boolean NOT NULL DEFAULT false;
