-- SPDX-License-Identifier: Apache-2.0
-- As the other back end's file. writer: of several daemons on the schema each keeps sums of its own, so that none waits
-- for another's commit; together they are right, one alone may be below nothing.
DROP INDEX transfers_unfinished;
CREATE INDEX transfers_open ON transfer_history (created_us, id, state, direction, partner, owner) WHERE state < 4;
CREATE INDEX transfers_ended ON transfer_history (direction, state, created_us, id, size_bytes) WHERE state >= 4;
CREATE INDEX transfers_ended_partner ON transfer_history (partner, direction, state, created_us, id, size_bytes)
    WHERE state >= 4;
CREATE TABLE transfer_sums (
    partner TEXT COLLATE "C" NOT NULL,
    day BIGINT NOT NULL,
    direction INTEGER NOT NULL,
    state INTEGER NOT NULL,
    writer TEXT COLLATE "C" NOT NULL,
    transfers BIGINT NOT NULL,
    bytes BIGINT NOT NULL,
    PRIMARY KEY (partner, day, direction, state, writer)
) WITH (fillfactor = 50);
INSERT INTO transfer_sums (partner, day, direction, state, writer, transfers, bytes)
    SELECT partner, created_us / 86400000000, direction, state, '', count(*), sum(size_bytes) FROM transfer_history
    WHERE state >= 4 GROUP BY partner, created_us / 86400000000, direction, state;
INSERT INTO transfer_sums (partner, day, direction, state, writer, transfers, bytes)
    SELECT '', day, direction, state, '', sum(transfers), sum(bytes) FROM transfer_sums GROUP BY day, direction, state;
CREATE FUNCTION add_to_sums(who TEXT, at BIGINT, way INTEGER, stood INTEGER, size BIGINT, sign BIGINT) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    us TEXT := coalesce(current_setting('pesitfs.writer', true), '-');
BEGIN
    INSERT INTO transfer_sums AS sums VALUES (who, at / 86400000000, way, stood, us, sign, sign * size),
        ('', at / 86400000000, way, stood, us, sign, sign * size)
        ON CONFLICT (partner, day, direction, state, writer) DO UPDATE SET
        transfers = sums.transfers + excluded.transfers, bytes = sums.bytes + excluded.bytes;
END $$;
CREATE FUNCTION keep_sums() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP <> 'INSERT' AND OLD.state >= 4 THEN
        PERFORM add_to_sums(OLD.partner, OLD.created_us, OLD.direction, OLD.state, OLD.size_bytes, -1);
    END IF;
    IF TG_OP <> 'DELETE' AND NEW.state >= 4 THEN
        PERFORM add_to_sums(NEW.partner, NEW.created_us, NEW.direction, NEW.state, NEW.size_bytes, 1);
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
