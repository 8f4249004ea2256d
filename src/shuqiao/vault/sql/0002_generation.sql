-- A node that begins anew counts on from the hub's ledger, which may have been restored to an older state: of two batches
-- of one department, (generation, sequence) says which is newer. Records stored before have none.

ALTER TABLE vault.record ADD COLUMN generation bigint NOT NULL DEFAULT 0 CHECK (generation >= 0);
