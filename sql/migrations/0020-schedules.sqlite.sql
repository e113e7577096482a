-- SPDX-License-Identifier: Apache-2.0
-- As the other back end's file.
CREATE TABLE schedules (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    document TEXT NOT NULL,
    version INTEGER NOT NULL,
    created_us INTEGER NOT NULL,
    updated_us INTEGER NOT NULL,
    wake_us INTEGER NOT NULL,
    next_us INTEGER NOT NULL,
    expect_us INTEGER NOT NULL,
    expect_since_us INTEGER NOT NULL,
    due_us INTEGER NOT NULL DEFAULT 0,
    run_us INTEGER NOT NULL DEFAULT 0,
    status TEXT NOT NULL DEFAULT '',
    error TEXT,
    transfer_id INTEGER NOT NULL DEFAULT 0,
    runner TEXT NOT NULL DEFAULT '',
    success_us INTEGER NOT NULL DEFAULT 0,
    successes INTEGER NOT NULL DEFAULT 0,
    failures INTEGER NOT NULL DEFAULT 0,
    missed INTEGER NOT NULL DEFAULT 0
);
CREATE UNIQUE INDEX schedules_name ON schedules (name);
CREATE INDEX schedules_wake ON schedules (wake_us) WHERE wake_us > 0;
