-- SPDX-License-Identifier: Apache-2.0
-- Every daemon on the schema hears of changes by others: channel = schema, payload = table and row.
CREATE FUNCTION tell_transfer() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify(TG_TABLE_SCHEMA, TG_TABLE_NAME || ':' || NEW.id);
    RETURN NULL;
END $$;
CREATE TRIGGER transfer_inserted AFTER INSERT ON transfer_history FOR EACH ROW EXECUTE FUNCTION tell_transfer();
CREATE TRIGGER transfer_changed AFTER UPDATE ON transfer_history FOR EACH ROW
    WHEN (OLD.state <> NEW.state OR OLD.hidden <> NEW.hidden) EXECUTE FUNCTION tell_transfer();
