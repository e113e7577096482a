-- SPDX-License-Identifier: Apache-2.0
-- The role by which the administration API makes and drops clusters (admin.database), and a database that is for clusters
-- alone: nobody else gets in, and nobody shares anything. By an administrator of the database:
--   psql -v role=pesitwizard_console -v password="$(cat password)" -f create-console.sql pesitwizard
-- Clusters that create-cluster.sql made there before need GRANT CONNECT ON DATABASE to their roles after it.
\set ON_ERROR_STOP on
BEGIN;
CREATE ROLE :"role" LOGIN NOSUPERUSER NOCREATEDB CREATEROLE PASSWORD :'password';
REVOKE ALL ON DATABASE :"DBNAME" FROM PUBLIC;
GRANT CREATE ON DATABASE :"DBNAME" TO :"role";
GRANT CONNECT ON DATABASE :"DBNAME" TO :"role" WITH GRANT OPTION;
REVOKE ALL ON SCHEMA public FROM PUBLIC;
COMMIT;
