CREATE TABLE routers (
    id TEXT PRIMARY KEY,
    project_id TEXT NOT NULL,
    name TEXT NOT NULL,
    description TEXT NOT NULL,
    admin_state_up BIGINT NOT NULL,
    status TEXT NOT NULL,                       -- ACTIVE | ...
    gateway_port_id TEXT REFERENCES ports (id), -- external_gateway_info: network and addresses are this port's
    enable_snat BIGINT NOT NULL,               -- of the gateway
    distributed BIGINT NOT NULL,
    ha BIGINT NOT NULL,
    flavor_id TEXT,
    availability_zone_hints TEXT NOT NULL,      -- JSON: list of names
    revision_number BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE INDEX routers_project ON routers (project_id);
CREATE INDEX routers_gateway ON routers (gateway_port_id);

-- Interfaces (qr-) of a router: ports with device_owner network:router_interface and device_id the router. Not the gateway.
CREATE TABLE router_interfaces (
    port_id TEXT PRIMARY KEY REFERENCES ports (id) ON DELETE CASCADE,
    router_id TEXT NOT NULL REFERENCES routers (id)
);
CREATE INDEX router_interfaces_router ON router_interfaces (router_id);

-- Extra routes.
CREATE TABLE router_routes (
    router_id TEXT NOT NULL REFERENCES routers (id) ON DELETE CASCADE,
    destination TEXT NOT NULL,                  -- CIDR
    nexthop TEXT NOT NULL,
    PRIMARY KEY (router_id, destination, nexthop)
);

-- Which L3 agent hosts a router.
CREATE TABLE l3_agent_routers (
    router_id TEXT NOT NULL REFERENCES routers (id) ON DELETE CASCADE,
    agent_id TEXT NOT NULL REFERENCES agents (id) ON DELETE CASCADE,
    PRIMARY KEY (router_id, agent_id)
);
CREATE INDEX l3_agent_routers_agent ON l3_agent_routers (agent_id);
