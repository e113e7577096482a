-- SPDX-License-Identifier: Apache-2.0
-- Keystores and truststores; settings as of the other definitions, the certificates in them as PEM, the key sealed.
CREATE TABLE certificate_stores (
    name @TEXT@ PRIMARY KEY,
    settings @TEXT@ NOT NULL,
    version @I64@ NOT NULL,
    created_us @I64@ NOT NULL,
    updated_us @I64@ NOT NULL
);
