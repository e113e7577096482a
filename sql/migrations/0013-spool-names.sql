-- SPDX-License-Identifier: Apache-2.0
-- After a kill each file in the spool is looked up by its name, however long the history is.
CREATE INDEX transfers_spool ON transfer_history (spool_name, id) WHERE spool_name IS NOT NULL;
