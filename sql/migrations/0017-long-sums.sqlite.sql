-- SPDX-License-Identifier: Apache-2.0
-- The sums of a partner over two years were 8,800 rows. days: a sum is of 1 day or of 32, which begin with the day whose
-- number is a multiple of 32: a long time is read from the long ones, and its edge from the short ones. The key begins with
-- the day: what is written today is together, whoever the partners are.
DROP TRIGGER transfer_sum_inserted;
DROP TRIGGER transfer_sum_deleted;
DROP TRIGGER transfer_sum_entered;
DROP TRIGGER transfer_sum_left;
DROP TRIGGER transfer_sum_moved;
ALTER TABLE transfer_sums RENAME TO day_sums;
CREATE TABLE transfer_sums (
    partner TEXT NOT NULL,
    days INTEGER NOT NULL,
    day INTEGER NOT NULL,
    direction INTEGER NOT NULL,
    state INTEGER NOT NULL,
    writer TEXT NOT NULL,
    transfers INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    PRIMARY KEY (days, day, partner, direction, state, writer)
) WITHOUT ROWID;
INSERT INTO transfer_sums (partner, days, day, direction, state, writer, transfers, bytes)
    SELECT partner, 1, day, direction, state, writer, transfers, bytes FROM day_sums;
INSERT INTO transfer_sums (partner, days, day, direction, state, writer, transfers, bytes)
    SELECT partner, 32, day / 32 * 32, direction, state, writer, sum(transfers), sum(bytes) FROM day_sums
    GROUP BY partner, day / 32 * 32, direction, state, writer;
DROP TABLE day_sums;
CREATE TRIGGER transfer_sum_inserted AFTER INSERT ON transfer_history WHEN NEW.state >= 4 BEGIN
    INSERT INTO transfer_sums (partner, days, day, direction, state, writer, transfers, bytes) VALUES
        (NEW.partner, 1, NEW.created_us / 86400000000, NEW.direction, NEW.state, '', 1, NEW.size_bytes),
        (NEW.partner, 32, NEW.created_us / 86400000000 / 32 * 32, NEW.direction, NEW.state, '', 1, NEW.size_bytes),
        ('', 1, NEW.created_us / 86400000000, NEW.direction, NEW.state, '', 1, NEW.size_bytes),
        ('', 32, NEW.created_us / 86400000000 / 32 * 32, NEW.direction, NEW.state, '', 1, NEW.size_bytes)
        ON CONFLICT (days, day, partner, direction, state, writer) DO UPDATE SET
        transfers = transfers + excluded.transfers, bytes = bytes + excluded.bytes;
END;
CREATE TRIGGER transfer_sum_deleted AFTER DELETE ON transfer_history WHEN OLD.state >= 4 BEGIN
    INSERT INTO transfer_sums (partner, days, day, direction, state, writer, transfers, bytes) VALUES
        (OLD.partner, 1, OLD.created_us / 86400000000, OLD.direction, OLD.state, '', -1, -OLD.size_bytes),
        (OLD.partner, 32, OLD.created_us / 86400000000 / 32 * 32, OLD.direction, OLD.state, '', -1, -OLD.size_bytes),
        ('', 1, OLD.created_us / 86400000000, OLD.direction, OLD.state, '', -1, -OLD.size_bytes),
        ('', 32, OLD.created_us / 86400000000 / 32 * 32, OLD.direction, OLD.state, '', -1, -OLD.size_bytes)
        ON CONFLICT (days, day, partner, direction, state, writer) DO UPDATE SET
        transfers = transfers + excluded.transfers, bytes = bytes + excluded.bytes;
    DELETE FROM transfer_sums WHERE partner IN (OLD.partner, '') AND days IN (1, 32) AND
        day IN (OLD.created_us / 86400000000, OLD.created_us / 86400000000 / 32 * 32) AND
        direction = OLD.direction AND state = OLD.state AND writer = '' AND transfers = 0 AND bytes = 0;
END;
CREATE TRIGGER transfer_sum_entered AFTER UPDATE ON transfer_history WHEN NEW.state >= 4 AND OLD.state < 4 BEGIN
    INSERT INTO transfer_sums (partner, days, day, direction, state, writer, transfers, bytes) VALUES
        (NEW.partner, 1, NEW.created_us / 86400000000, NEW.direction, NEW.state, '', 1, NEW.size_bytes),
        (NEW.partner, 32, NEW.created_us / 86400000000 / 32 * 32, NEW.direction, NEW.state, '', 1, NEW.size_bytes),
        ('', 1, NEW.created_us / 86400000000, NEW.direction, NEW.state, '', 1, NEW.size_bytes),
        ('', 32, NEW.created_us / 86400000000 / 32 * 32, NEW.direction, NEW.state, '', 1, NEW.size_bytes)
        ON CONFLICT (days, day, partner, direction, state, writer) DO UPDATE SET
        transfers = transfers + excluded.transfers, bytes = bytes + excluded.bytes;
END;
CREATE TRIGGER transfer_sum_left AFTER UPDATE ON transfer_history WHEN OLD.state >= 4 AND NEW.state < 4 BEGIN
    INSERT INTO transfer_sums (partner, days, day, direction, state, writer, transfers, bytes) VALUES
        (OLD.partner, 1, OLD.created_us / 86400000000, OLD.direction, OLD.state, '', -1, -OLD.size_bytes),
        (OLD.partner, 32, OLD.created_us / 86400000000 / 32 * 32, OLD.direction, OLD.state, '', -1, -OLD.size_bytes),
        ('', 1, OLD.created_us / 86400000000, OLD.direction, OLD.state, '', -1, -OLD.size_bytes),
        ('', 32, OLD.created_us / 86400000000 / 32 * 32, OLD.direction, OLD.state, '', -1, -OLD.size_bytes)
        ON CONFLICT (days, day, partner, direction, state, writer) DO UPDATE SET
        transfers = transfers + excluded.transfers, bytes = bytes + excluded.bytes;
END;
CREATE TRIGGER transfer_sum_moved AFTER UPDATE ON transfer_history WHEN OLD.state >= 4 AND NEW.state >= 4 AND
    (OLD.state <> NEW.state OR OLD.direction <> NEW.direction OR OLD.partner <> NEW.partner OR
    OLD.size_bytes <> NEW.size_bytes OR OLD.created_us / 86400000000 <> NEW.created_us / 86400000000) BEGIN
    INSERT INTO transfer_sums (partner, days, day, direction, state, writer, transfers, bytes) VALUES
        (OLD.partner, 1, OLD.created_us / 86400000000, OLD.direction, OLD.state, '', -1, -OLD.size_bytes),
        (OLD.partner, 32, OLD.created_us / 86400000000 / 32 * 32, OLD.direction, OLD.state, '', -1, -OLD.size_bytes),
        ('', 1, OLD.created_us / 86400000000, OLD.direction, OLD.state, '', -1, -OLD.size_bytes),
        ('', 32, OLD.created_us / 86400000000 / 32 * 32, OLD.direction, OLD.state, '', -1, -OLD.size_bytes),
        (NEW.partner, 1, NEW.created_us / 86400000000, NEW.direction, NEW.state, '', 1, NEW.size_bytes),
        (NEW.partner, 32, NEW.created_us / 86400000000 / 32 * 32, NEW.direction, NEW.state, '', 1, NEW.size_bytes),
        ('', 1, NEW.created_us / 86400000000, NEW.direction, NEW.state, '', 1, NEW.size_bytes),
        ('', 32, NEW.created_us / 86400000000 / 32 * 32, NEW.direction, NEW.state, '', 1, NEW.size_bytes)
        ON CONFLICT (days, day, partner, direction, state, writer) DO UPDATE SET
        transfers = transfers + excluded.transfers, bytes = bytes + excluded.bytes;
END;
