-- SPDX-License-Identifier: Apache-2.0
-- Transfers that are made by the clock: what is wanted as JSON, when it is due, and how it went. next_us: 0 while it is switched off, or
-- over; wake_us: when somebody has to look at it, 0: never; expect_us: the cut-off by which something must have come since
-- expect_since_us. Each due time is claimed by changing the row as it was read: of several daemons one succeeds.
CREATE TABLE schedules (
    id TEXT COLLATE "C" PRIMARY KEY,
    name TEXT COLLATE "C" NOT NULL,
    document TEXT NOT NULL,
    version BIGINT NOT NULL,
    created_us BIGINT NOT NULL,
    updated_us BIGINT NOT NULL,
    wake_us BIGINT NOT NULL,
    next_us BIGINT NOT NULL,
    expect_us BIGINT NOT NULL,
    expect_since_us BIGINT NOT NULL,
    due_us BIGINT NOT NULL DEFAULT 0,
    run_us BIGINT NOT NULL DEFAULT 0,
    status TEXT NOT NULL DEFAULT '',
    error TEXT,
    transfer_id BIGINT NOT NULL DEFAULT 0,
    runner TEXT NOT NULL DEFAULT '',
    success_us BIGINT NOT NULL DEFAULT 0,
    successes BIGINT NOT NULL DEFAULT 0,
    failures BIGINT NOT NULL DEFAULT 0,
    missed BIGINT NOT NULL DEFAULT 0
);
CREATE UNIQUE INDEX schedules_name ON schedules (name);
CREATE INDEX schedules_wake ON schedules (wake_us) WHERE wake_us > 0;
CREATE TRIGGER schedule_changed AFTER INSERT OR UPDATE OR DELETE ON schedules
    FOR EACH STATEMENT EXECUTE FUNCTION tell_definition();
