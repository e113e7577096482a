-- SPDX-License-Identifier: Apache-2.0
-- The number that {counter} stood for in the names of a transfer: later attempts say the same.
ALTER TABLE transfer_history ADD COLUMN name_counter @I64@ NOT NULL DEFAULT 0;
