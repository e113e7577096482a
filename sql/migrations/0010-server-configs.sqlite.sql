-- SPDX-License-Identifier: Apache-2.0
-- Listeners beside those of the configuration file; settings as of the other definitions.
CREATE TABLE pesitwizard_server_configs (
    server_id @TEXT@ PRIMARY KEY,
    settings @TEXT@ NOT NULL,
    version @I64@ NOT NULL,
    created_us @I64@ NOT NULL,
    updated_us @I64@ NOT NULL
);
