-- SPDX-License-Identifier: Apache-2.0
-- What a console asks of the cluster: a request of the administration API, that one of its daemons takes and answers. No
-- body has a clear password.
CREATE TABLE inquiries (
    id TEXT COLLATE "C" PRIMARY KEY,
    created_us BIGINT NOT NULL,
    actor TEXT NOT NULL,
    method TEXT NOT NULL,
    path TEXT NOT NULL,
    body TEXT NOT NULL,
    if_match TEXT,
    taken INTEGER NOT NULL DEFAULT 0,
    owner TEXT,
    status INTEGER,
    answer TEXT
);
CREATE TRIGGER inquiry_made AFTER INSERT ON inquiries FOR EACH ROW EXECUTE FUNCTION tell_transfer();
