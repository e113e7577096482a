-- SPDX-License-Identifier: Apache-2.0
-- Counters that never go back, and passwords that partners changed (PI 5).
CREATE TABLE counters (
    name @TEXT@ PRIMARY KEY,
    value @I64@ NOT NULL
);
CREATE TABLE secrets (
    partner @TEXT@ NOT NULL,
    kind @TEXT@ NOT NULL,
    value @TEXT@ NOT NULL,
    PRIMARY KEY (partner, kind)
);
