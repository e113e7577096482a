-- SPDX-License-Identifier: Apache-2.0
-- Every daemon on the schema hears of changed partners and virtual files; one notice for each statement.
CREATE FUNCTION tell_definition() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify(TG_TABLE_SCHEMA, TG_TABLE_NAME || ':');
    RETURN NULL;
END $$;
CREATE TRIGGER partner_changed AFTER INSERT OR UPDATE OR DELETE ON partners
    FOR EACH STATEMENT EXECUTE FUNCTION tell_definition();
CREATE TRIGGER virtual_file_changed AFTER INSERT OR UPDATE OR DELETE ON virtual_files
    FOR EACH STATEMENT EXECUTE FUNCTION tell_definition();
