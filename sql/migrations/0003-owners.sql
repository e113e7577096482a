-- SPDX-License-Identifier: Apache-2.0
-- Several daemons on one schema: each transfer belongs to the daemon whose spool holds its bytes; and the last
-- commit of each connection, by which a commit whose answer was lost is found again.
ALTER TABLE transfers RENAME TO transfer_history;
ALTER TABLE transfer_history ADD COLUMN owner @TEXT@ NOT NULL DEFAULT '';
DROP INDEX transfers_unfinished;
CREATE INDEX transfers_unfinished ON transfer_history (owner, state) WHERE state < 4;
CREATE TABLE store_writers (
    writer @TEXT@ PRIMARY KEY,
    mark @I64@ NOT NULL,
    seen_us @I64@ NOT NULL
);
