-- SPDX-License-Identifier: Apache-2.0
-- A history of many million rows: an index for each way to page through it, newest first, and its sums by day, which
-- triggers keep in the transaction of each change. partner '' is all partners; writer: see the other back end's file.
DROP INDEX transfers_unfinished;
CREATE INDEX transfers_open ON transfer_history (created_us, id, state, direction, partner, owner) WHERE state < 4;
CREATE INDEX transfers_ended ON transfer_history (direction, state, created_us, id, size_bytes) WHERE state >= 4;
CREATE INDEX transfers_ended_partner ON transfer_history (partner, direction, state, created_us, id, size_bytes)
    WHERE state >= 4;
CREATE TABLE transfer_sums (
    partner TEXT NOT NULL,
    day INTEGER NOT NULL,
    direction INTEGER NOT NULL,
    state INTEGER NOT NULL,
    writer TEXT NOT NULL,
    transfers INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    PRIMARY KEY (partner, day, direction, state, writer)
) WITHOUT ROWID;
INSERT INTO transfer_sums (partner, day, direction, state, writer, transfers, bytes)
    SELECT partner, created_us / 86400000000, direction, state, '', count(*), sum(size_bytes) FROM transfer_history
    WHERE state >= 4 GROUP BY partner, created_us / 86400000000, direction, state;
INSERT INTO transfer_sums (partner, day, direction, state, writer, transfers, bytes)
    SELECT '', day, direction, state, '', sum(transfers), sum(bytes) FROM transfer_sums GROUP BY day, direction, state;
CREATE TRIGGER transfer_sum_inserted AFTER INSERT ON transfer_history WHEN NEW.state >= 4 BEGIN
    INSERT INTO transfer_sums VALUES (NEW.partner, NEW.created_us / 86400000000, NEW.direction, NEW.state, '', 1, NEW.size_bytes),
        ('', NEW.created_us / 86400000000, NEW.direction, NEW.state, '', 1, NEW.size_bytes)
        ON CONFLICT (partner, day, direction, state, writer) DO UPDATE SET
        transfers = transfers + excluded.transfers, bytes = bytes + excluded.bytes;
END;
CREATE TRIGGER transfer_sum_deleted AFTER DELETE ON transfer_history WHEN OLD.state >= 4 BEGIN
    INSERT INTO transfer_sums VALUES (OLD.partner, OLD.created_us / 86400000000, OLD.direction, OLD.state, '', -1, -OLD.size_bytes),
        ('', OLD.created_us / 86400000000, OLD.direction, OLD.state, '', -1, -OLD.size_bytes)
        ON CONFLICT (partner, day, direction, state, writer) DO UPDATE SET
        transfers = transfers + excluded.transfers, bytes = bytes + excluded.bytes;
END;
CREATE TRIGGER transfer_sum_entered AFTER UPDATE ON transfer_history WHEN NEW.state >= 4 AND OLD.state < 4 BEGIN
    INSERT INTO transfer_sums VALUES (NEW.partner, NEW.created_us / 86400000000, NEW.direction, NEW.state, '', 1, NEW.size_bytes),
        ('', NEW.created_us / 86400000000, NEW.direction, NEW.state, '', 1, NEW.size_bytes)
        ON CONFLICT (partner, day, direction, state, writer) DO UPDATE SET
        transfers = transfers + excluded.transfers, bytes = bytes + excluded.bytes;
END;
CREATE TRIGGER transfer_sum_left AFTER UPDATE ON transfer_history WHEN OLD.state >= 4 AND NEW.state < 4 BEGIN
    INSERT INTO transfer_sums VALUES (OLD.partner, OLD.created_us / 86400000000, OLD.direction, OLD.state, '', -1, -OLD.size_bytes),
        ('', OLD.created_us / 86400000000, OLD.direction, OLD.state, '', -1, -OLD.size_bytes)
        ON CONFLICT (partner, day, direction, state, writer) DO UPDATE SET
        transfers = transfers + excluded.transfers, bytes = bytes + excluded.bytes;
END;
CREATE TRIGGER transfer_sum_moved AFTER UPDATE ON transfer_history WHEN OLD.state >= 4 AND NEW.state >= 4 AND
    (OLD.state <> NEW.state OR OLD.direction <> NEW.direction OR OLD.partner <> NEW.partner OR
    OLD.size_bytes <> NEW.size_bytes OR OLD.created_us / 86400000000 <> NEW.created_us / 86400000000) BEGIN
    INSERT INTO transfer_sums VALUES (OLD.partner, OLD.created_us / 86400000000, OLD.direction, OLD.state, '', -1, -OLD.size_bytes),
        ('', OLD.created_us / 86400000000, OLD.direction, OLD.state, '', -1, -OLD.size_bytes),
        (NEW.partner, NEW.created_us / 86400000000, NEW.direction, NEW.state, '', 1, NEW.size_bytes),
        ('', NEW.created_us / 86400000000, NEW.direction, NEW.state, '', 1, NEW.size_bytes)
        ON CONFLICT (partner, day, direction, state, writer) DO UPDATE SET
        transfers = transfers + excluded.transfers, bytes = bytes + excluded.bytes;
END;
