-- Addresses behind a router that it answers for on its external network (RFC 4861 section 7.2.8).
ALTER TABLE routers ADD COLUMN enable_ndp_proxy BIGINT NOT NULL DEFAULT 0; -- 1: it may have NDP proxies, while it has a gateway
CREATE TABLE ndp_proxies (
    id TEXT PRIMARY KEY,
    project_id TEXT NOT NULL,
    name TEXT NOT NULL,
    description TEXT NOT NULL,
    router_id TEXT NOT NULL REFERENCES routers (id) ON DELETE CASCADE,
    port_id TEXT NOT NULL REFERENCES ports (id) ON DELETE CASCADE,
    ip_address TEXT NOT NULL,                   -- which of the port's IPv6 addresses
    revision_number BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE UNIQUE INDEX ndp_proxies_once ON ndp_proxies (router_id, ip_address);
CREATE INDEX ndp_proxies_port ON ndp_proxies (port_id);
CREATE INDEX ndp_proxies_project ON ndp_proxies (project_id);
