-- SPDX-License-Identifier: Apache-2.0
-- Rows of the history are removed now: sums that came to nothing go with them.
DROP TRIGGER transfer_sum_deleted;
CREATE TRIGGER transfer_sum_deleted AFTER DELETE ON transfer_history WHEN OLD.state >= 4 BEGIN
    INSERT INTO transfer_sums VALUES (OLD.partner, OLD.created_us / 86400000000, OLD.direction, OLD.state, '', -1, -OLD.size_bytes),
        ('', OLD.created_us / 86400000000, OLD.direction, OLD.state, '', -1, -OLD.size_bytes)
        ON CONFLICT (partner, day, direction, state, writer) DO UPDATE SET
        transfers = transfers + excluded.transfers, bytes = bytes + excluded.bytes;
    DELETE FROM transfer_sums WHERE partner IN (OLD.partner, '') AND day = OLD.created_us / 86400000000 AND
        direction = OLD.direction AND state = OLD.state AND transfers = 0 AND bytes = 0;
END;
