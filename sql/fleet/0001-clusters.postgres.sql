-- SPDX-License-Identifier: Apache-2.0
-- The schema admin: clusters, registries and orchestrators, as the API was given them (document) and as columns. A cluster
-- has a schema, a role of the same name that reaches nothing else, and a role SCHEMA_console by which the console enters it:
-- that one may log in for moments only, and has no rights but those of the cluster's role. So nothing that a cluster's
-- daemon leaves in its schema, no trigger and no view, ever runs with the rights of the console. The functions run with
-- the rights of their caller, and each is one transaction that may be repeated.
CREATE TABLE pesitwizard_clusters (
    id TEXT COLLATE "C" PRIMARY KEY,
    name TEXT COLLATE "C" NOT NULL UNIQUE,
    document JSONB NOT NULL,
    created_us BIGINT NOT NULL,
    updated_us BIGINT NOT NULL,
    database_state TEXT NOT NULL DEFAULT 'CREATING' CHECK (database_state IN ('CREATING', 'READY', 'DROPPING')),
    schema_name TEXT GENERATED ALWAYS AS ('cluster_' || replace(id, '-', '_')) STORED,
    description TEXT GENERATED ALWAYS AS (document ->> 'description') STORED,
    namespace TEXT GENERATED ALWAYS AS (document ->> 'namespace') STORED,
    environment TEXT GENERATED ALWAYS AS (document ->> 'environment') STORED,
    replicas INTEGER GENERATED ALWAYS AS ((document ->> 'replicas')::integer) STORED,
    pesit_port INTEGER GENERATED ALWAYS AS ((document ->> 'pesitPort')::integer) STORED,
    container_image TEXT GENERATED ALWAYS AS (document ->> 'containerImage') STORED,
    orchestrator_id TEXT GENERATED ALWAYS AS (document ->> 'orchestratorId') STORED,
    registry_id TEXT GENERATED ALWAYS AS (document ->> 'registryId') STORED,
    container_version TEXT GENERATED ALWAYS AS (document ->> 'containerVersion') STORED,
    storage_host_path TEXT GENERATED ALWAYS AS (document ->> 'storageHostPath') STORED
);
CREATE TABLE container_registries (
    id TEXT COLLATE "C" PRIMARY KEY,
    name TEXT COLLATE "C" NOT NULL UNIQUE,
    document JSONB NOT NULL,
    created_us BIGINT NOT NULL,
    updated_us BIGINT NOT NULL,
    url TEXT GENERATED ALWAYS AS (document ->> 'url') STORED,
    username TEXT GENERATED ALWAYS AS (document ->> 'username') STORED,
    password TEXT GENERATED ALWAYS AS (document ->> 'password') STORED
);
CREATE TABLE container_orchestrators (
    id TEXT COLLATE "C" PRIMARY KEY,
    name TEXT COLLATE "C" NOT NULL UNIQUE,
    document JSONB NOT NULL,
    created_us BIGINT NOT NULL,
    updated_us BIGINT NOT NULL,
    type TEXT GENERATED ALWAYS AS (document ->> 'type') STORED,
    description TEXT GENERATED ALWAYS AS (document ->> 'description') STORED,
    auth_type TEXT GENERATED ALWAYS AS (document ->> 'authType') STORED,
    api_url TEXT GENERATED ALWAYS AS (document ->> 'apiUrl') STORED,
    service_account_token TEXT GENERATED ALWAYS AS (document ->> 'serviceAccountToken') STORED,
    ca_cert TEXT GENERATED ALWAYS AS (document ->> 'caCert') STORED,
    supports_load_balancer BOOLEAN GENERATED ALWAYS AS ((document ->> 'supportsLoadBalancer')::boolean) STORED,
    enabled BOOLEAN GENERATED ALWAYS AS ((document ->> 'enabled')::boolean) STORED,
    client_cert TEXT GENERATED ALWAYS AS (document ->> 'clientCert') STORED,
    client_key TEXT GENERATED ALWAYS AS (document ->> 'clientKey') STORED,
    skip_tls_verify BOOLEAN GENERATED ALWAYS AS ((document ->> 'skipTlsVerify')::boolean) STORED,
    metal_lb_ip_range TEXT GENERATED ALWAYS AS (document ->> 'metalLbIpRange') STORED
);
REVOKE ALL ON pesitwizard_clusters, container_registries, container_orchestrators FROM PUBLIC;

-- Says what is missing, and the statement that gives it.
CREATE FUNCTION check_rights() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = current_user AND (rolsuper OR rolcreaterole)) THEN
        RAISE insufficient_privilege USING MESSAGE =
            format('role %I may not make roles: ALTER ROLE %1$I CREATEROLE', current_user);
    END IF;
    IF NOT has_database_privilege(current_database(), 'CREATE') THEN
        RAISE insufficient_privilege USING MESSAGE =
            format('role %I may not make schemas: GRANT CREATE ON DATABASE %I TO %1$I', current_user, current_database());
    END IF;
    IF EXISTS (SELECT FROM pg_namespace WHERE nspname = 'public' AND has_schema_privilege('public', oid, 'CREATE')) THEN
        RAISE insufficient_privilege USING MESSAGE =
            'every role may create in schema public: REVOKE CREATE ON SCHEMA public FROM PUBLIC';
    END IF;
    IF has_database_privilege('public', current_database(), 'CREATE') THEN
        RAISE insufficient_privilege USING MESSAGE = format(
            'every role may make schemas: REVOKE CREATE ON DATABASE %I FROM PUBLIC', current_database());
    END IF;
    IF NOT has_database_privilege('public', current_database(), 'CONNECT') AND
            NOT has_database_privilege(current_database(), 'CONNECT WITH GRANT OPTION') THEN
        RAISE insufficient_privilege USING MESSAGE = format(
            'clusters may not connect: GRANT CONNECT ON DATABASE %I TO %I WITH GRANT OPTION', current_database(), current_user);
    END IF;
END $$;

CREATE FUNCTION make_role(who TEXT) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = who AND (rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication
            OR rolbypassrls)) THEN
        RAISE insufficient_privilege USING MESSAGE = format('role %I exists and may more than a cluster''s', who);
    END IF;
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = who) THEN
        EXECUTE format('CREATE ROLE %I NOLOGIN NOCREATEDB NOCREATEROLE NOINHERIT', who);
    END IF;
END $$;

-- Schema and roles; none of them may log in yet. The schema stays ours: the cluster's role can neither give it away nor
-- drop it.
CREATE FUNCTION make_cluster(whose TEXT) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    console TEXT := whose || '_console';
BEGIN
    PERFORM check_rights();
    PERFORM make_role(whose);
    PERFORM make_role(console);
    EXECUTE format('GRANT %I TO %I', whose, console);
    EXECUTE format('CREATE SCHEMA IF NOT EXISTS %I', whose);
    EXECUTE format('REVOKE ALL ON SCHEMA %I FROM PUBLIC', whose);
    EXECUTE format('GRANT USAGE, CREATE ON SCHEMA %I TO %I', whose, whose);
    EXECUTE format('ALTER ROLE %I SET search_path = %I', whose, whose);
    IF NOT has_database_privilege(whose, current_database(), 'CONNECT') THEN
        EXECUTE format('GRANT CONNECT ON DATABASE %I TO %I, %I', current_database(), whose, console);
    END IF;
END $$;

-- The way in for a console, open for one connection; verifier: of its password.
CREATE FUNCTION open_console(whose TEXT, verifier TEXT) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('ALTER ROLE %I LOGIN PASSWORD %L VALID UNTIL %L', whose || '_console', verifier,
        clock_timestamp() + interval '1 minute');
END $$;
CREATE FUNCTION close_console(whose TEXT) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('ALTER ROLE %I NOLOGIN PASSWORD NULL', whose || '_console');
END $$;

-- From here the cluster's daemons may come, with this password and no other.
CREATE FUNCTION give_password(whose TEXT, verifier TEXT) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('ALTER ROLE %I LOGIN PASSWORD %L', whose, verifier);
    UPDATE pesitwizard_clusters SET database_state = 'READY' WHERE schema_name = whose;
END $$;

-- Nobody of the cluster comes in any more. Its password stays: a drop that is refused after all opens it again.
CREATE FUNCTION shut_cluster(whose TEXT) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    UPDATE pesitwizard_clusters SET database_state = 'DROPPING' WHERE schema_name = whose;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = whose) THEN
        EXECUTE format('ALTER ROLE %I NOLOGIN', whose);
    END IF;
END $$;
CREATE FUNCTION reopen_cluster(whose TEXT) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    UPDATE pesitwizard_clusters SET database_state = 'READY' WHERE schema_name = whose;
    EXECUTE format('ALTER ROLE %I LOGIN', whose);
END $$;

CREATE FUNCTION drop_role(who TEXT) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = who) THEN
        EXECUTE format('REVOKE ALL ON DATABASE %I FROM %I', current_database(), who);
        EXECUTE format('DROP ROLE %I', who);
    END IF;
END $$;

-- Schema, roles and record at once.
CREATE FUNCTION drop_cluster(whose TEXT) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('DROP SCHEMA IF EXISTS %I CASCADE', whose);
    PERFORM drop_role(whose || '_console');
    PERFORM drop_role(whose);
    DELETE FROM pesitwizard_clusters WHERE schema_name = whose;
END $$;
