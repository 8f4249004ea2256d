-- The running office (pages and worker) has a role of its own. It owns nothing, so whoever holds it can neither change nor
-- take away what it has written, nor the rules that say so: migrations run as the owner, which no running process is.

GRANT USAGE ON SCHEMA control TO shuqiao_control;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA control TO shuqiao_control;
GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA control TO shuqiao_control;
ALTER DEFAULT PRIVILEGES IN SCHEMA control GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO shuqiao_control;
ALTER DEFAULT PRIVILEGES IN SCHEMA control GRANT USAGE, SELECT ON SEQUENCES TO shuqiao_control;
-- Which migrations have run is for the owner to say.
REVOKE INSERT, UPDATE, DELETE ON control.django_migrations FROM shuqiao_control;

GRANT USAGE ON SCHEMA audit TO shuqiao_control;
GRANT SELECT ON audit.entry, audit.leaf, audit.node, audit.checkpoint TO shuqiao_control;
GRANT EXECUTE ON FUNCTION audit.append TO shuqiao_control;
