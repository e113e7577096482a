-- SPDX-License-Identifier: Apache-2.0
-- What the administration keeps: records by kind (keys, users, clusters, answers given under an Idempotency-Key, …) as
-- JSON text, and who did what, each row linked to the one before it by its hash.
CREATE TABLE admin_records (
    kind @TEXT@ NOT NULL,
    id @TEXT@ NOT NULL,
    name @TEXT@ NOT NULL,
    document @TEXT@ NOT NULL,
    created_us @I64@ NOT NULL,
    updated_us @I64@ NOT NULL,
    PRIMARY KEY (kind, id)
);
CREATE UNIQUE INDEX admin_records_name ON admin_records (kind, name);
CREATE TABLE audit_events (
    writer @TEXT@ NOT NULL,
    seq @I64@ NOT NULL,
    time_us @I64@ NOT NULL,
    actor @TEXT@ NOT NULL,
    address @TEXT@ NOT NULL,
    action @TEXT@ NOT NULL,
    object @TEXT@ NOT NULL,
    detail @TEXT@ NOT NULL,
    previous @TEXT@ NOT NULL,
    hash @TEXT@ NOT NULL,
    PRIMARY KEY (writer, seq)
);
