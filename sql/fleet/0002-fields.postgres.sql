-- SPDX-License-Identifier: Apache-2.0
-- Fields that those who come from PeSIT Wizard write.
ALTER TABLE pesitwizard_clusters
    ADD COLUMN container_version TEXT GENERATED ALWAYS AS (document ->> 'containerVersion') STORED,
    ADD COLUMN storage_host_path TEXT GENERATED ALWAYS AS (document ->> 'storageHostPath') STORED;
ALTER TABLE container_orchestrators
    ADD COLUMN client_cert TEXT GENERATED ALWAYS AS (document ->> 'clientCert') STORED,
    ADD COLUMN client_key TEXT GENERATED ALWAYS AS (document ->> 'clientKey') STORED,
    ADD COLUMN skip_tls_verify BOOLEAN GENERATED ALWAYS AS ((document ->> 'skipTlsVerify')::boolean) STORED,
    ADD COLUMN metal_lb_ip_range TEXT GENERATED ALWAYS AS (document ->> 'metalLbIpRange') STORED;
