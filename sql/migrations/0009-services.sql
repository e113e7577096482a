-- SPDX-License-Identifier: Apache-2.0
-- The services of an offer: one that is being read, or was, is not given out by a generic name again.
CREATE INDEX transfers_services ON transfer_history (offer_id) WHERE offer_id > 0;
