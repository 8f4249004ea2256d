-- Every transaction that changes what is given to others leaves one row, whoever wrote it. The row is seen
-- when its transaction is, so the number and the last of the rows name an edition: who has answers of one
-- edition may keep them until there is another.
CREATE FUNCTION control.note_edition() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO control.exports_edition (changed_at, writer) VALUES (now(), pg_current_xact_id()::text)
        ON CONFLICT DO NOTHING;
    RETURN NULL;
END $$;

CREATE TRIGGER note_edition AFTER INSERT OR UPDATE OR DELETE ON control.catalogue_resource
    FOR EACH STATEMENT EXECUTE FUNCTION control.note_edition();
CREATE TRIGGER note_edition AFTER INSERT OR UPDATE OR DELETE ON control.catalogue_item
    FOR EACH STATEMENT EXECUTE FUNCTION control.note_edition();
CREATE TRIGGER note_edition AFTER INSERT OR UPDATE OR DELETE ON control.catalogue_sharing
    FOR EACH STATEMENT EXECUTE FUNCTION control.note_edition();
CREATE TRIGGER note_edition AFTER INSERT OR UPDATE OR DELETE ON control.catalogue_sharingversion
    FOR EACH STATEMENT EXECUTE FUNCTION control.note_edition();
CREATE TRIGGER note_edition AFTER INSERT OR UPDATE OR DELETE ON control.catalogue_service
    FOR EACH STATEMENT EXECUTE FUNCTION control.note_edition();
CREATE TRIGGER note_edition AFTER INSERT OR UPDATE OR DELETE ON control.organisations_department
    FOR EACH STATEMENT EXECUTE FUNCTION control.note_edition();

-- What anybody may read is found without looking at all that only departments may.
CREATE INDEX resource_open ON control.catalogue_resource (code) WHERE open_to_public;

-- Whatever writes the column: an entry is open only where its department's own words say so (PUB-02).
ALTER TABLE control.catalogue_resource ADD CONSTRAINT resource_open_as_published
    CHECK (NOT open_to_public OR content -> 'open_to_public' = 'true'::jsonb);
