-- Gateways (qg-) of a router: ports with device_owner network:router_gateway and device_id the router. The first of them,
-- external_gateway_info, is routers.gateway_port_id.
CREATE TABLE router_gateways (
    port_id TEXT PRIMARY KEY REFERENCES ports (id) ON DELETE CASCADE,
    router_id TEXT NOT NULL REFERENCES routers (id),
    position BIGINT NOT NULL,                   -- the order in which they came
    enable_snat BIGINT NOT NULL
);
CREATE INDEX router_gateways_router ON router_gateways (router_id, position);
INSERT INTO router_gateways (port_id, router_id, position, enable_snat)
    SELECT gateway_port_id, id, 0, enable_snat FROM routers WHERE gateway_port_id IS NOT NULL;
ALTER TABLE routers DROP COLUMN enable_snat;
