-- SPDX-License-Identifier: Apache-2.0
-- Partners and virtual files beside those of the configuration file: their keys as that file has them, one group's
-- text. version counts the changes.
CREATE TABLE partners (
    name @TEXT@ PRIMARY KEY,
    settings @TEXT@ NOT NULL,
    version @I64@ NOT NULL,
    created_us @I64@ NOT NULL,
    updated_us @I64@ NOT NULL
);
CREATE TABLE virtual_files (
    partner @TEXT@ NOT NULL,
    pattern @TEXT@ NOT NULL,
    settings @TEXT@ NOT NULL,
    version @I64@ NOT NULL,
    created_us @I64@ NOT NULL,
    updated_us @I64@ NOT NULL,
    PRIMARY KEY (partner, pattern)
);
