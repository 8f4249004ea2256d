-- The rows that searches look at, and how they follow the entries. Decision 16.

-- Each value that a facet has anywhere, and the character that stands for it in the rows: a facet is its place
-- there, from 1. A value keeps its character for good; the first are of one byte.
CREATE TABLE catalogue_facetvalue (
    code smallint PRIMARY KEY GENERATED ALWAYS AS IDENTITY (START 33),
    facet smallint NOT NULL,
    value varchar(100) NOT NULL,
    mark varchar(1) NOT NULL GENERATED ALWAYS AS (chr(code)) STORED,
    UNIQUE (facet, value)
);

CREATE TABLE catalogue_search (
    resource_id varchar(17) PRIMARY KEY
        REFERENCES catalogue_resource ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED,
    name varchar(100) NOT NULL,
    code varchar(30) NOT NULL,
    pinyin_key varchar(400) NOT NULL,
    initials varchar(100) NOT NULL,
    marks varchar(8) NOT NULL CHECK (length(marks) = 8),
    in_force boolean NOT NULL,
    shared boolean NOT NULL,
    published_at timestamptz,
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

-- Each mark is a term of the first column, so that the words are looked at only where the filters hold, which is
-- cheaper. Without the pending list: a search would read all of it each time.
CREATE INDEX search_shared ON catalogue_search USING gin (string_to_array(marks, NULL), terms)
    WITH (fastupdate = off) WHERE shared;
CREATE INDEX search_kept ON catalogue_search USING gin (string_to_array(marks, NULL), terms)
    WITH (fastupdate = off) WHERE in_force AND NOT shared;

-- What an entry says in each facet, in the order of their places.
CREATE FUNCTION facet_values(r catalogue_resource) RETURNS text[] LANGUAGE sql IMMUTABLE AS $$
    SELECT ARRAY[
        r.department_id, r.share_type, r.format, r.update_cycle, left(r.subject, 3), r.library,
        r.open_to_public::text, array_to_string(r.modes, ',')]
$$;

-- Gives values that no entry had before their characters; in order, so that two that publish the same new
-- values wait for each other and do not lock each other out.
CREATE FUNCTION keep_facet_values(p_id text[]) RETURNS void LANGUAGE sql SET search_path FROM CURRENT AS $$
    INSERT INTO catalogue_facetvalue (facet, value)
    SELECT DISTINCT v.facet, v.value
    FROM catalogue_resource r, unnest(facet_values(r)) WITH ORDINALITY AS v(value, facet)
    WHERE r.id = ANY(p_id)
        AND NOT EXISTS (SELECT FROM catalogue_facetvalue k WHERE (k.facet, k.value) = (v.facet, v.value))
    ORDER BY v.facet, v.value
    ON CONFLICT DO NOTHING
$$;

CREATE FUNCTION search_marks(r catalogue_resource) RETURNS text LANGUAGE sql STABLE SET search_path FROM CURRENT AS $$
    SELECT string_agg(k.mark, '' ORDER BY v.facet)
    FROM unnest(facet_values(r)) WITH ORDINALITY AS v(value, facet)
    JOIN catalogue_facetvalue k ON (k.facet, k.value) = (v.facet, v.value)
$$;

CREATE FUNCTION store_search_rows(p_id text[], p_terms text[], p_name text[], p_pinyin text[], p_initials text[])
RETURNS void LANGUAGE sql SET search_path FROM CURRENT AS $$
    SELECT keep_facet_values(p_id);
    INSERT INTO catalogue_search
    SELECT r.id, t.name, r.code, t.pinyin, t.initials, search_marks(r),
           r.state = 'published', r.state = 'published' AND r.shared, r.published_at,
           array_to_tsvector(string_to_array(t.terms, ' ')
                || ('#' || regexp_replace(lower(r.code), '[^0-9a-z]', '', 'g')))
    FROM unnest(p_id, p_terms, p_name, p_pinyin, p_initials) AS t(id, terms, name, pinyin, initials)
    JOIN catalogue_resource r ON r.id = t.id
    ON CONFLICT (resource_id) DO UPDATE SET
        name = excluded.name, code = excluded.code, pinyin_key = excluded.pinyin_key,
        initials = excluded.initials, marks = excluded.marks, in_force = excluded.in_force,
        shared = excluded.shared, published_at = excluded.published_at, terms = excluded.terms
$$;

-- Whatever changes an entry, in which action ever, its search row says the same: an entry withdrawn or closed
-- must not be found. The words of a row are written by the action that knows them.
CREATE FUNCTION follow_entries() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    PERFORM keep_facet_values(ARRAY(SELECT id FROM changed));
    UPDATE catalogue_search s SET
        code = r.code, marks = r.marks, in_force = r.in_force, shared = r.shared, published_at = r.published_at
    FROM (
        SELECT e.id, e.code, search_marks(e) AS marks, e.state = 'published' AS in_force,
               e.state = 'published' AND e.shared AS shared, e.published_at
        FROM catalogue_resource e WHERE e.id IN (SELECT id FROM changed)
    ) r
    WHERE s.resource_id = r.id
        AND (s.code, s.marks, s.in_force, s.shared, s.published_at)
            IS DISTINCT FROM (r.code, r.marks, r.in_force, r.shared, r.published_at);
    RETURN NULL;
END
$$;

CREATE TRIGGER search_follows AFTER UPDATE ON catalogue_resource
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION follow_entries();
