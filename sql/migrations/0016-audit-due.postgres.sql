-- SPDX-License-Identifier: Apache-2.0
-- The end of a transfer makes its row of the audit trail due in the same transaction, and the row, once written, settles
-- that in its own: a stop between the two loses and doubles none. owner, writer: the daemon whose transfer it is.
ALTER TABLE audit_events ADD COLUMN transfer_id BIGINT NOT NULL DEFAULT 0;
CREATE TABLE audit_due (
    owner TEXT COLLATE "C" NOT NULL,
    transfer_id BIGINT NOT NULL,
    PRIMARY KEY (owner, transfer_id)
);
CREATE FUNCTION make_audit_due() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO audit_due VALUES (NEW.owner, NEW.id) ON CONFLICT DO NOTHING;
    RETURN NULL;
END $$;
CREATE FUNCTION settle_audit_due() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM audit_due WHERE owner = NEW.writer AND transfer_id = NEW.transfer_id;
    RETURN NULL;
END $$;
CREATE TRIGGER audit_due_inserted AFTER INSERT ON transfer_history FOR EACH ROW
    WHEN (NEW.state >= 4) EXECUTE FUNCTION make_audit_due();
CREATE TRIGGER audit_due_changed AFTER UPDATE ON transfer_history FOR EACH ROW
    WHEN (NEW.state >= 4 AND OLD.state <> NEW.state) EXECUTE FUNCTION make_audit_due();
CREATE TRIGGER audit_due_settled AFTER INSERT ON audit_events FOR EACH ROW
    WHEN (NEW.transfer_id > 0) EXECUTE FUNCTION settle_audit_due();
