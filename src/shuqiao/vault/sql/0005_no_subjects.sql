-- A subject is a random id and nothing else, so a table of them says nothing; keeping one and checking against it was a third
-- of what storing a batch cost. Which records and identifiers share a subject stands in those.

ALTER TABLE vault.identifier DROP CONSTRAINT identifier_subject_id_fkey;
ALTER TABLE vault.record DROP CONSTRAINT record_subject_id_fkey;
DROP TABLE vault.subject;
