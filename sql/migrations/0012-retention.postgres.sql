-- SPDX-License-Identifier: Apache-2.0
-- Rows of the history are removed now: sums that came to nothing go with them.
CREATE FUNCTION drop_empty_sums() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    us TEXT := coalesce(current_setting('pesitfs.writer', true), '-');
BEGIN
    DELETE FROM transfer_sums WHERE partner IN (OLD.partner, '') AND day = OLD.created_us / 86400000000 AND
        direction = OLD.direction AND state = OLD.state AND writer = us AND transfers = 0 AND bytes = 0;
    RETURN NULL;
END $$;
CREATE TRIGGER transfer_sum_emptied AFTER DELETE ON transfer_history FOR EACH ROW
    WHEN (OLD.state >= 4) EXECUTE FUNCTION drop_empty_sums(); -- by its name after transfer_sum_deleted
