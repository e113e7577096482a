-- SPDX-License-Identifier: Apache-2.0
-- As the other back end's file. The sums were added by a function that the trigger called: a transfer pays for the two
-- more rows what that saves.
DROP TRIGGER transfer_sum_inserted ON transfer_history;
DROP TRIGGER transfer_sum_deleted ON transfer_history;
DROP TRIGGER transfer_sum_changed ON transfer_history;
DROP TRIGGER transfer_sum_emptied ON transfer_history;
DROP FUNCTION keep_sums();
DROP FUNCTION drop_empty_sums();
DROP FUNCTION add_to_sums(TEXT, BIGINT, INTEGER, INTEGER, BIGINT, BIGINT);
ALTER TABLE transfer_sums RENAME TO day_sums;
CREATE TABLE transfer_sums (
    partner TEXT COLLATE "C" NOT NULL,
    days INTEGER NOT NULL,
    day BIGINT NOT NULL,
    direction INTEGER NOT NULL,
    state INTEGER NOT NULL,
    writer TEXT COLLATE "C" NOT NULL,
    transfers BIGINT NOT NULL,
    bytes BIGINT NOT NULL
) WITH (fillfactor = 50);
INSERT INTO transfer_sums (partner, days, day, direction, state, writer, transfers, bytes)
    SELECT partner, 1, day, direction, state, writer, transfers, bytes FROM day_sums ORDER BY day, partner;
INSERT INTO transfer_sums (partner, days, day, direction, state, writer, transfers, bytes)
    SELECT partner, 32, day / 32 * 32, direction, state, writer, sum(transfers), sum(bytes) FROM day_sums
    GROUP BY partner, day / 32 * 32, direction, state, writer ORDER BY day / 32 * 32, partner;
DROP TABLE day_sums;
ALTER TABLE transfer_sums ADD PRIMARY KEY (days, day, partner, direction, state, writer);
CREATE FUNCTION keep_sums() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    us TEXT := coalesce(current_setting('pesitfs.writer', true), '-');
    at BIGINT;
BEGIN
    IF TG_OP <> 'INSERT' AND OLD.state >= 4 THEN
        at := OLD.created_us / 86400000000;
        INSERT INTO transfer_sums AS sums (partner, days, day, direction, state, writer, transfers, bytes) VALUES
            (OLD.partner, 1, at, OLD.direction, OLD.state, us, -1, -OLD.size_bytes),
            (OLD.partner, 32, at / 32 * 32, OLD.direction, OLD.state, us, -1, -OLD.size_bytes),
            ('', 1, at, OLD.direction, OLD.state, us, -1, -OLD.size_bytes),
            ('', 32, at / 32 * 32, OLD.direction, OLD.state, us, -1, -OLD.size_bytes)
            ON CONFLICT (days, day, partner, direction, state, writer) DO UPDATE SET
            transfers = sums.transfers + excluded.transfers, bytes = sums.bytes + excluded.bytes;
    END IF;
    IF TG_OP <> 'DELETE' AND NEW.state >= 4 THEN
        at := NEW.created_us / 86400000000;
        INSERT INTO transfer_sums AS sums (partner, days, day, direction, state, writer, transfers, bytes) VALUES
            (NEW.partner, 1, at, NEW.direction, NEW.state, us, 1, NEW.size_bytes),
            (NEW.partner, 32, at / 32 * 32, NEW.direction, NEW.state, us, 1, NEW.size_bytes),
            ('', 1, at, NEW.direction, NEW.state, us, 1, NEW.size_bytes),
            ('', 32, at / 32 * 32, NEW.direction, NEW.state, us, 1, NEW.size_bytes)
            ON CONFLICT (days, day, partner, direction, state, writer) DO UPDATE SET
            transfers = sums.transfers + excluded.transfers, bytes = sums.bytes + excluded.bytes;
    END IF;
    IF TG_OP = 'DELETE' THEN
        DELETE FROM transfer_sums WHERE partner IN (OLD.partner, '') AND days IN (1, 32) AND day IN (at, at / 32 * 32) AND
            direction = OLD.direction AND state = OLD.state AND writer = us AND transfers = 0 AND bytes = 0;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER transfer_sum_inserted AFTER INSERT ON transfer_history FOR EACH ROW
    WHEN (NEW.state >= 4) EXECUTE FUNCTION keep_sums();
CREATE TRIGGER transfer_sum_deleted AFTER DELETE ON transfer_history FOR EACH ROW
    WHEN (OLD.state >= 4) EXECUTE FUNCTION keep_sums();
CREATE TRIGGER transfer_sum_changed AFTER UPDATE ON transfer_history FOR EACH ROW
    WHEN ((OLD.state >= 4 OR NEW.state >= 4) AND (OLD.state <> NEW.state OR OLD.direction <> NEW.direction OR
    OLD.partner <> NEW.partner OR OLD.size_bytes <> NEW.size_bytes OR OLD.created_us <> NEW.created_us))
    EXECUTE FUNCTION keep_sums();
