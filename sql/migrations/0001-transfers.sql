-- SPDX-License-Identifier: Apache-2.0
-- One row per transfer. Numbers of direction and state are those of daemon/store.h.
CREATE TABLE transfers (
    id @ID@,
    direction INTEGER NOT NULL,
    state INTEGER NOT NULL,
    partner @TEXT@ NOT NULL,
    path @TEXT@ NOT NULL,
    file_name @TEXT@,
    file_type INTEGER NOT NULL,
    transfer_id @I64@ NOT NULL,
    peer @TEXT@,
    client @TEXT@,
    bank @TEXT@,
    size_bytes @I64@ NOT NULL,
    wire_bytes @I64@ NOT NULL,
    articles @I64@ NOT NULL,
    mode INTEGER NOT NULL,
    mtime_us @I64@ NOT NULL,
    created_us @I64@ NOT NULL,
    updated_us @I64@ NOT NULL,
    finished_us @I64@ NOT NULL,
    attempts @I64@ NOT NULL,
    next_retry_us @I64@ NOT NULL,
    diag_type INTEGER NOT NULL,
    diag_code INTEGER NOT NULL,
    cause INTEGER NOT NULL,
    error @TEXT@,
    sha256 @TEXT@,
    spool_name @TEXT@,
    offer_path @TEXT@,
    offer_id @I64@ NOT NULL,
    hidden INTEGER NOT NULL,
    data_kept INTEGER NOT NULL,
    end_sent INTEGER NOT NULL
);
CREATE INDEX transfers_by_path ON transfers (partner, path, id);
CREATE INDEX transfers_unfinished ON transfers (state) WHERE state < 4;
CREATE INDEX transfers_kept ON transfers (finished_us) WHERE data_kept = 1;
CREATE INDEX transfers_offers ON transfers (partner, file_name) WHERE direction = 3 AND data_kept = 1;
CREATE INDEX transfers_received ON transfers (partner, file_name, transfer_id) WHERE direction = 2 AND state = 4;
