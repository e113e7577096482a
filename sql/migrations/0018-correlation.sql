-- SPDX-License-Identifier: Apache-2.0
-- What a transfer belongs to: its caller's name for it, the PeSIT session that moved it, and the listener by which that came.
ALTER TABLE transfer_history ADD COLUMN correlation @TEXT@;
ALTER TABLE transfer_history ADD COLUMN session @TEXT@;
ALTER TABLE transfer_history ADD COLUMN listener @TEXT@;
CREATE INDEX transfer_correlation ON transfer_history (correlation, id) WHERE correlation IS NOT NULL;
CREATE INDEX transfer_session ON transfer_history (session, id) WHERE session IS NOT NULL;
