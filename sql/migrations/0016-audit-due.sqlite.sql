-- SPDX-License-Identifier: Apache-2.0
-- As the other back end's file.
ALTER TABLE audit_events ADD COLUMN transfer_id INTEGER NOT NULL DEFAULT 0;
CREATE TABLE audit_due (
    owner TEXT NOT NULL,
    transfer_id INTEGER NOT NULL,
    PRIMARY KEY (owner, transfer_id)
) WITHOUT ROWID;
CREATE TRIGGER audit_due_inserted AFTER INSERT ON transfer_history WHEN NEW.state >= 4 BEGIN
    INSERT INTO audit_due VALUES (NEW.owner, NEW.id) ON CONFLICT DO NOTHING;
END;
CREATE TRIGGER audit_due_changed AFTER UPDATE ON transfer_history WHEN NEW.state >= 4 AND OLD.state <> NEW.state BEGIN
    INSERT INTO audit_due VALUES (NEW.owner, NEW.id) ON CONFLICT DO NOTHING;
END;
CREATE TRIGGER audit_due_settled AFTER INSERT ON audit_events WHEN NEW.transfer_id > 0 BEGIN
    DELETE FROM audit_due WHERE owner = NEW.writer AND transfer_id = NEW.transfer_id;
END;
