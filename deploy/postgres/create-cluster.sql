-- SPDX-License-Identifier: Apache-2.0
-- A cluster's schema and the role that owns it and reaches nothing else. By an administrator of the database:
--   psql -v schema=cluster_5f1c -v role=cluster_5f1c -v password="$(cat password)" -f create-cluster.sql DATABASE
\set ON_ERROR_STOP on
BEGIN;
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
CREATE ROLE :"role" LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOINHERIT PASSWORD :'password';
CREATE SCHEMA :"schema" AUTHORIZATION :"role";
REVOKE ALL ON SCHEMA :"schema" FROM PUBLIC;
ALTER ROLE :"role" SET search_path = :"schema";
COMMIT;
