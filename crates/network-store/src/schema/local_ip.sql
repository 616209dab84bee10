-- Local IPs: addresses that on each host lead to a port of that host.
CREATE TABLE local_ips (
    id TEXT PRIMARY KEY,
    project_id TEXT NOT NULL,
    name TEXT NOT NULL,
    description TEXT NOT NULL,
    local_port_id TEXT NOT NULL REFERENCES ports (id), -- holds the address; device_owner network:local_ip when made for it
    network_id TEXT NOT NULL REFERENCES networks (id),
    local_ip_address TEXT NOT NULL,
    ip_mode TEXT NOT NULL,                      -- translate | passthrough
    revision_number BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE INDEX local_ips_network ON local_ips (network_id);
CREATE INDEX local_ips_project ON local_ips (project_id);
CREATE INDEX local_ips_port ON local_ips (local_port_id);

-- The ports that a local IP leads to, each on its own host.
CREATE TABLE local_ip_associations (
    id TEXT PRIMARY KEY,
    local_ip_id TEXT NOT NULL REFERENCES local_ips (id),
    fixed_port_id TEXT NOT NULL REFERENCES ports (id) ON DELETE CASCADE,
    fixed_ip TEXT NOT NULL,                     -- which of the port's addresses
    UNIQUE (local_ip_id, fixed_port_id)
);
CREATE INDEX local_ip_associations_port ON local_ip_associations (fixed_port_id);
