CREATE TABLE ports (
    id TEXT PRIMARY KEY,
    project_id TEXT NOT NULL,                   -- '' for gateway and floating-IP ports, as in Neutron
    network_id TEXT NOT NULL REFERENCES networks (id),
    name TEXT NOT NULL,
    description TEXT NOT NULL,
    mac_address TEXT NOT NULL,
    admin_state_up BIGINT NOT NULL,
    status TEXT NOT NULL,                       -- ACTIVE: realised; DOWN: not; N/A: floating-IP ports, realised nowhere
    device_id TEXT NOT NULL,                    -- instance, router id, 'dhcp<host>-<network>', ''
    device_owner TEXT NOT NULL,                 -- 'compute:nova', 'network:dhcp', 'network:router_interface', ...
    port_security_enabled BIGINT NOT NULL,     -- anti-spoofing and security groups
    binding_host TEXT NOT NULL,                 -- binding:host_id, '': unbound
    binding_vnic_type TEXT NOT NULL,            -- normal | ...
    binding_profile TEXT NOT NULL,              -- JSON object, from the client
    binding_vif_type TEXT NOT NULL,             -- unbound | ovs | binding_failed
    binding_vif_details TEXT NOT NULL,          -- JSON object
    revision_number BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    UNIQUE (network_id, mac_address)
);
CREATE INDEX ports_project ON ports (project_id);
CREATE INDEX ports_device ON ports (device_id);
CREATE INDEX ports_host ON ports (binding_host);

-- An address of a port; the row is the allocation: the primary key is why no address is handed out twice.
CREATE TABLE fixed_ips (
    subnet_id TEXT NOT NULL REFERENCES subnets (id),
    ip_address TEXT NOT NULL,
    port_id TEXT NOT NULL REFERENCES ports (id) ON DELETE CASCADE,
    network_id TEXT NOT NULL,
    position BIGINT NOT NULL,                  -- order within the port
    PRIMARY KEY (subnet_id, ip_address)
);
CREATE INDEX fixed_ips_port ON fixed_ips (port_id);
CREATE INDEX fixed_ips_address ON fixed_ips (ip_address);

CREATE TABLE port_security_groups (
    port_id TEXT NOT NULL REFERENCES ports (id) ON DELETE CASCADE,
    security_group_id TEXT NOT NULL REFERENCES security_groups (id),
    PRIMARY KEY (port_id, security_group_id)
);
CREATE INDEX port_security_groups_group ON port_security_groups (security_group_id);

-- allowed_address_pairs: what a port may send besides its own addresses.
CREATE TABLE port_address_pairs (
    port_id TEXT NOT NULL REFERENCES ports (id) ON DELETE CASCADE,
    ip_address TEXT NOT NULL,                   -- address or CIDR
    mac_address TEXT NOT NULL,                  -- the port's own when the client gave none
    PRIMARY KEY (port_id, mac_address, ip_address)
);
