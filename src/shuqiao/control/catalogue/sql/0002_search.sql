-- The rows that searches look at, and how they follow the entries. Decision 16.

CREATE TABLE catalogue_search (
    resource_id varchar(17) PRIMARY KEY
        REFERENCES catalogue_resource ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED,
    name varchar(100) NOT NULL,
    code varchar(30) NOT NULL,
    pinyin_key varchar(400) NOT NULL,
    initials varchar(100) NOT NULL,
    department_id varchar(40) NOT NULL,
    share_type varchar(63) NOT NULL,
    format varchar(20) NOT NULL,
    update_cycle varchar(20) NOT NULL,
    theme varchar(3) NOT NULL,
    library varchar(30) NOT NULL,
    open_to_public boolean NOT NULL,
    modes varchar(100) NOT NULL,
    in_force boolean NOT NULL,
    shared boolean NOT NULL,
    published_at timestamptz,
    facets text[] NOT NULL,
    terms tsvector NOT NULL
) PARTITION BY HASH (resource_id);
ALTER TABLE catalogue_search ALTER terms SET STORAGE EXTERNAL, ALTER terms SET STATISTICS 300;

-- A scan that has its candidates leaves the other partitions unread. Eight keep planning short, and a
-- million entries at 125,000 a partition, of which the commonest word needs one.
DO $$
BEGIN
    FOR part IN 0..7 LOOP
        EXECUTE format(
            'CREATE TABLE catalogue_search_%s PARTITION OF catalogue_search'
            ' FOR VALUES WITH (MODULUS 8, REMAINDER %s)', part, part);
    END LOOP;
END
$$;

-- Without the pending list: a search would read all of it each time.
CREATE INDEX search_shared ON catalogue_search USING gin (terms, facets) WITH (fastupdate = off) WHERE shared;
CREATE INDEX search_kept ON catalogue_search USING gin (terms, facets) WITH (fastupdate = off)
    WHERE in_force AND NOT shared;
CREATE INDEX search_newest ON catalogue_search (published_at DESC NULLS LAST, resource_id) WHERE shared;
CREATE INDEX search_by_name ON catalogue_search (pinyin_key, resource_id) WHERE shared;

-- What an entry is searched by besides its words, as terms of the second column of the index.
CREATE FUNCTION search_facets(r catalogue_resource) RETURNS text[] LANGUAGE sql IMMUTABLE AS $$
    SELECT ARRAY[
        'd=' || r.department_id, 's=' || r.share_type, 'f=' || r.format, 'u=' || r.update_cycle,
        't=' || left(r.subject, 3), 'l=' || r.library, 'o=' || r.open_to_public::text]
        || ARRAY(SELECT 'm=' || mode FROM unnest(r.modes) mode)
$$;

CREATE FUNCTION store_search_rows(p_id text[], p_terms text[], p_name text[], p_pinyin text[], p_initials text[])
RETURNS void LANGUAGE sql SET search_path FROM CURRENT AS $$
    INSERT INTO catalogue_search
    SELECT r.id, t.name, r.code, t.pinyin, t.initials, r.department_id, r.share_type, r.format,
           r.update_cycle, left(r.subject, 3), r.library, r.open_to_public, array_to_string(r.modes, ','),
           r.state = 'published', r.state = 'published' AND r.shared, r.published_at, search_facets(r),
           array_to_tsvector(string_to_array(t.terms, ' ')
                || ('#' || regexp_replace(lower(r.code), '[^0-9a-z]', '', 'g')))
    FROM unnest(p_id, p_terms, p_name, p_pinyin, p_initials) AS t(id, terms, name, pinyin, initials)
    JOIN catalogue_resource r ON r.id = t.id
    ON CONFLICT (resource_id) DO UPDATE SET
        name = excluded.name, code = excluded.code, pinyin_key = excluded.pinyin_key,
        initials = excluded.initials, department_id = excluded.department_id,
        share_type = excluded.share_type, format = excluded.format, update_cycle = excluded.update_cycle,
        theme = excluded.theme, library = excluded.library, open_to_public = excluded.open_to_public,
        modes = excluded.modes, in_force = excluded.in_force, shared = excluded.shared,
        published_at = excluded.published_at, facets = excluded.facets, terms = excluded.terms
$$;

-- Whatever changes an entry, in which action ever, its search row says the same: an entry withdrawn or closed
-- must not be found. The words of a row are written by the action that knows them.
CREATE FUNCTION follow_entries() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    UPDATE catalogue_search s SET
        code = r.code, department_id = r.department_id, share_type = r.share_type, format = r.format,
        update_cycle = r.update_cycle, theme = left(r.subject, 3), library = r.library,
        open_to_public = r.open_to_public, modes = array_to_string(r.modes, ','),
        in_force = r.state = 'published', shared = r.state = 'published' AND r.shared,
        published_at = r.published_at, facets = search_facets(r)
    FROM catalogue_resource r
    WHERE r.id IN (SELECT id FROM changed) AND s.resource_id = r.id
        AND (s.code, s.in_force, s.shared, s.published_at, s.facets)
            IS DISTINCT FROM (r.code, r.state = 'published', r.state = 'published' AND r.shared,
                              r.published_at, search_facets(r));
    RETURN NULL;
END
$$;

CREATE TRIGGER search_follows AFTER UPDATE ON catalogue_resource
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION follow_entries();
