-- Files registered as resources. Control writes them, encrypted piece by piece, and can't read a piece or a key; the plane reads
-- pieces, and is given the key of a version only by the statement that writes the entry of its delivery.

CREATE TABLE exchange.file (
    id               uuid PRIMARY KEY,
    resource_id      text NOT NULL REFERENCES exchange.resource (id),
    title            text NOT NULL CHECK (length(title) BETWEEN 1 AND 120 AND title !~ '[[:cntrl:]]'),
    registered_at    timestamptz NOT NULL,
    withdrawn_at     timestamptz,
    withdrawn_reason text NOT NULL DEFAULT '' CHECK (length(withdrawn_reason) <= 500),
    CHECK ((withdrawn_at IS NULL) = (withdrawn_reason = ''))
);
CREATE UNIQUE INDEX file_title_once ON exchange.file (resource_id, title) WHERE withdrawn_at IS NULL;

CREATE TABLE exchange.file_version (
    id          uuid PRIMARY KEY,
    file        uuid NOT NULL REFERENCES exchange.file (id),
    number      int NOT NULL CHECK (number > 0),
    name        text NOT NULL CHECK (length(name) BETWEEN 1 AND 120 AND name !~ '[/\\[:cntrl:]]'),
    media_type  text NOT NULL CHECK (media_type ~ '^[a-z]+/[a-z0-9.+-]{1,100}$'),
    size_bytes  int NOT NULL CHECK (size_bytes BETWEEN 1 AND 33554432),
    digest      text NOT NULL CHECK (digest ~ '^[0-9a-f]{64}$'),
    wrapped_key bytea NOT NULL,
    stored_by   text NOT NULL,
    stored_at   timestamptz NOT NULL,
    entry       uuid NOT NULL,
    UNIQUE (file, number)
);

CREATE TABLE exchange.file_piece (
    version uuid NOT NULL REFERENCES exchange.file_version (id) DEFERRABLE INITIALLY DEFERRED,
    number  int NOT NULL CHECK (number >= 0),
    content bytea NOT NULL CHECK (octet_length(content) BETWEEN 17 AND 262160),
    PRIMARY KEY (version, number)
);
-- What is encrypted doesn't get smaller.
ALTER TABLE exchange.file_piece ALTER COLUMN content SET STORAGE EXTERNAL;

-- A version appears with all its pieces or not at all, and none is added later.
CREATE FUNCTION exchange.whole_file() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
    v_count int; v_last int; v_bytes bigint; v_next int;
BEGIN
    SELECT count(*), max(p.number), sum(octet_length(p.content)) INTO v_count, v_last, v_bytes
    FROM exchange.file_piece p WHERE p.version = NEW.id;
    IF v_count <> (NEW.size_bytes + 262143) / 262144 OR v_last <> v_count - 1 OR v_bytes <> NEW.size_bytes + 16 * v_count THEN
        RAISE EXCEPTION 'the pieces of version % are not whole', NEW.id USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    SELECT coalesce(max(v.number), 0) + 1 INTO v_next FROM exchange.file_version v WHERE v.file = NEW.file;
    IF NEW.number <> v_next OR EXISTS (SELECT FROM exchange.file f WHERE f.id = NEW.file AND f.withdrawn_at IS NOT NULL) THEN
        RAISE EXCEPTION 'version % does not follow', NEW.id USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER whole_file BEFORE INSERT ON exchange.file_version FOR EACH ROW EXECUTE FUNCTION exchange.whole_file();

CREATE FUNCTION exchange.no_piece_later() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
    IF EXISTS (SELECT FROM exchange.file_version v WHERE v.id = NEW.version) THEN
        RAISE EXCEPTION 'version % is whole', NEW.version USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER no_piece_later BEFORE INSERT ON exchange.file_piece FOR EACH ROW EXECUTE FUNCTION exchange.no_piece_later();

-- A file that is withdrawn stays withdrawn, under its title.
CREATE FUNCTION exchange.keep_file() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.withdrawn_at IS NOT NULL
       OR (NEW.id, NEW.resource_id, NEW.title, NEW.registered_at) IS DISTINCT FROM (OLD.id, OLD.resource_id, OLD.title, OLD.registered_at) THEN
        RAISE EXCEPTION 'file % cannot be changed', OLD.id;
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER keep_file BEFORE UPDATE ON exchange.file FOR EACH ROW EXECUTE FUNCTION exchange.keep_file();

-- The document of a grant that gives files now; null where it gives none. The plane has decided so before; the database asks again.
CREATE FUNCTION exchange.file_grant(p_grant text, p_resource text, p_department text, p_channel text) RETURNS jsonb
LANGUAGE plpgsql STABLE SET search_path = pg_catalog AS $$
DECLARE
    v_document jsonb;
BEGIN
    SELECT g.document::jsonb INTO v_document FROM exchange."grant" g
    WHERE g.id = p_grant AND g.revoked_at IS NULL AND g.suspended_at IS NULL;
    IF NOT FOUND OR v_document ->> 'mode' <> 'bulk' OR v_document ->> 'resource' IS DISTINCT FROM p_resource
       OR v_document ->> 'department' IS DISTINCT FROM p_department
       OR p_channel NOT IN ('interface', 'download') OR NOT v_document -> 'channels' ? p_channel
       OR coalesce(jsonb_array_length(v_document -> 'files'), 0) = 0
       -- Nobody can take rows out of a file, or put tokens into it.
       OR jsonb_array_length(v_document -> 'rows') > 0 OR (v_document ->> 'pseudonyms')::boolean
       OR NOT EXISTS (SELECT FROM exchange.resource r WHERE r.id = p_resource AND r.active)
       OR (clock_timestamp() AT TIME ZONE 'Asia/Shanghai')::date
          NOT BETWEEN (v_document ->> 'valid_from')::date AND (v_document ->> 'valid_until')::date THEN
        RETURN NULL;
    END IF;
    RETURN v_document;
END $$;

-- The files that a grant opens, each in its newest version; recorded before anything of them is told.
CREATE FUNCTION exchange.list_files(
    p_epoch bigint, p_id uuid, p_at timestamptz, p_department text, p_actor text, p_grant text, p_resource text, p_file uuid,
    p_channel text, p_case text, p_body text
) RETURNS TABLE (outcome text, epoch bigint, digest bytea, files json) LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
#variable_conflict use_column
DECLARE
    v_epoch bigint; v_document jsonb; v_digest bytea; v_files json; v_count int;
BEGIN
    SELECT e.value INTO v_epoch FROM exchange.epoch e;
    v_document := exchange.file_grant(p_grant, p_resource, p_department, p_channel);
    IF v_epoch <> p_epoch OR v_document IS NULL THEN
        RETURN QUERY SELECT 'stale', v_epoch, NULL::bytea, NULL::json; RETURN;
    END IF;
    SELECT coalesce(json_agg(one ORDER BY one.title), '[]'), count(*) INTO v_files, v_count FROM (
        SELECT v.id, v.file, f.title, v.name, v.media_type, v.size_bytes, v.digest, v.number, v.stored_at
        FROM exchange.file f JOIN LATERAL (
            SELECT n.* FROM exchange.file_version n WHERE n.file = f.id ORDER BY n.number DESC LIMIT 1) v ON true
        WHERE f.resource_id = p_resource AND f.withdrawn_at IS NULL AND (p_file IS NULL OR f.id = p_file)
          AND (v_document -> 'files' ? '*' OR v_document -> 'files' ? f.id::text)) one;
    IF p_file IS NOT NULL AND v_count = 0 THEN
        RETURN QUERY SELECT 'gone', v_epoch, NULL::bytea, NULL::json; RETURN;
    END IF;
    v_digest := exchange.record_once(p_id, p_at, 'files_listed', p_department, v_document ->> 'provider', p_actor, p_resource,
        p_grant, nullif(p_case, ''), 'listed', p_body || E'\n' || jsonb_build_object('count', v_count, 'channel', p_channel)::text);
    IF v_digest IS NULL THEN
        RETURN QUERY SELECT 'replayed', v_epoch, NULL::bytea, NULL::json; RETURN;
    END IF;
    RETURN QUERY SELECT 'done', v_epoch, v_digest, v_files;
END $$;

-- No byte of a file leaves before this entry is durable; each start of a download has its own. Only here is the key given, and
-- only of the newest version of a file that is not withdrawn.
CREATE FUNCTION exchange.deliver_file(
    p_epoch bigint, p_id uuid, p_at timestamptz, p_version uuid, p_from bigint, p_bytes bigint, p_department text, p_actor text,
    p_grant text, p_channel text, p_case text, p_body text
) RETURNS TABLE (outcome text, epoch bigint, digest bytea, wrapped_key bytea)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
#variable_conflict use_column
DECLARE
    v_epoch bigint; v_document jsonb; v_digest bytea; v_version exchange.file_version; v_file exchange.file;
BEGIN
    SELECT e.value INTO v_epoch FROM exchange.epoch e;
    SELECT v.* INTO v_version FROM exchange.file_version v WHERE v.id = p_version
        AND NOT EXISTS (SELECT FROM exchange.file_version n WHERE n.file = v.file AND n.number > v.number);
    SELECT f.* INTO v_file FROM exchange.file f WHERE f.id = v_version.file AND f.withdrawn_at IS NULL;
    IF v_file.id IS NULL THEN
        RETURN QUERY SELECT 'gone', v_epoch, NULL::bytea, NULL::bytea; RETURN;
    END IF;
    v_document := exchange.file_grant(p_grant, v_file.resource_id, p_department, p_channel);
    IF v_epoch <> p_epoch OR v_document IS NULL THEN
        RETURN QUERY SELECT 'stale', v_epoch, NULL::bytea, NULL::bytea; RETURN;
    END IF;
    IF NOT (v_document -> 'files' ? '*' OR v_document -> 'files' ? v_file.id::text) THEN
        RETURN QUERY SELECT 'gone', v_epoch, NULL::bytea, NULL::bytea; RETURN;
    END IF;
    v_digest := exchange.record_once(p_id, p_at, 'file_delivered', p_department, v_document ->> 'provider', p_actor,
        v_file.resource_id, p_grant, nullif(p_case, ''), 'delivering', p_body || E'\n' || jsonb_build_object('file_id', v_file.id,
        'file_version', v_version.number, 'version_id', v_version.id, 'file_digest', v_version.digest,
        'size_bytes', v_version.size_bytes, 'from_byte', p_from, 'bytes', p_bytes,
        'channel', p_channel)::text);
    IF v_digest IS NULL THEN
        RETURN QUERY SELECT 'replayed', v_epoch, NULL::bytea, NULL::bytea; RETURN;
    END IF;
    RETURN QUERY SELECT 'done', v_epoch, v_digest, v_version.wrapped_key;
END $$;

REVOKE ALL ON exchange.file, exchange.file_version, exchange.file_piece FROM PUBLIC;
REVOKE ALL ON FUNCTION exchange.whole_file, exchange.no_piece_later, exchange.keep_file, exchange.file_grant, exchange.list_files,
    exchange.deliver_file FROM PUBLIC;
GRANT EXECUTE ON FUNCTION exchange.list_files, exchange.deliver_file TO shuqiao_plane;
GRANT SELECT ON exchange.file, exchange.file_piece TO shuqiao_plane;
GRANT SELECT (id, file, number, name, media_type, size_bytes, digest) ON exchange.file_version TO shuqiao_plane;
GRANT SELECT, INSERT, UPDATE (withdrawn_at, withdrawn_reason) ON exchange.file TO shuqiao_control;
GRANT INSERT ON exchange.file_version, exchange.file_piece TO shuqiao_control;
GRANT SELECT (id, file, number, name, media_type, size_bytes, digest, stored_by, stored_at, entry) ON exchange.file_version
    TO shuqiao_control;
