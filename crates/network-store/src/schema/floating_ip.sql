CREATE TABLE floating_ips (
    id TEXT PRIMARY KEY,
    project_id TEXT NOT NULL,
    description TEXT NOT NULL,
    floating_network_id TEXT NOT NULL REFERENCES networks (id),
    floating_port_id TEXT NOT NULL REFERENCES ports (id), -- holds the address; device_owner network:floatingip
    floating_ip_address TEXT NOT NULL,
    port_id TEXT REFERENCES ports (id),         -- the instance's port; NULL: not associated
    fixed_ip_address TEXT,                      -- which of that port's addresses
    router_id TEXT REFERENCES routers (id),     -- whose namespace translates; NULL: not associated
    status TEXT NOT NULL,                       -- ACTIVE | DOWN | ERROR
    revision_number BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    UNIQUE (floating_network_id, floating_ip_address)
);
CREATE UNIQUE INDEX floating_ips_association
    ON floating_ips (floating_network_id, port_id, fixed_ip_address) WHERE port_id IS NOT NULL;
CREATE INDEX floating_ips_project ON floating_ips (project_id);
CREATE INDEX floating_ips_port ON floating_ips (port_id);
CREATE INDEX floating_ips_floating_port ON floating_ips (floating_port_id);
CREATE INDEX floating_ips_router ON floating_ips (router_id);
