-- SPDX-License-Identifier: Apache-2.0
-- Who had a transfer made, and from where.
ALTER TABLE transfer_history ADD COLUMN actor @TEXT@;
ALTER TABLE transfer_history ADD COLUMN origin @TEXT@;
