-- Where a department's next batch of a resource goes on: after this sequence, and in no earlier generation.

CREATE FUNCTION exchange.last_batch(p_department text, p_resource text)
RETURNS TABLE (sequence bigint, generation bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog AS $$
    SELECT b.sequence, coalesce((b.manifest::jsonb ->> 'generation')::bigint, 0) FROM exchange.batch b
    WHERE b.department = p_department AND b.resource_id = p_resource
    ORDER BY b.sequence DESC LIMIT 1
$$;
REVOKE ALL ON FUNCTION exchange.last_batch FROM PUBLIC;
GRANT EXECUTE ON FUNCTION exchange.last_batch TO shuqiao_loader;
REVOKE EXECUTE ON FUNCTION exchange.last_sequence FROM shuqiao_loader;
