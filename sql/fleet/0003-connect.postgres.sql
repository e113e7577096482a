-- SPDX-License-Identifier: Apache-2.0
-- That clusters will be let in is looked at before a record is made, as the other rights are.
CREATE OR REPLACE FUNCTION check_rights() RETURNS void LANGUAGE plpgsql AS $$
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
