CREATE TABLE subnets (
    id TEXT PRIMARY KEY,
    project_id TEXT NOT NULL,
    network_id TEXT NOT NULL REFERENCES networks (id),
    name TEXT NOT NULL,
    description TEXT NOT NULL,
    ip_version BIGINT NOT NULL,                -- 4 | 6
    cidr TEXT NOT NULL,                         -- the network address, '10.0.0.0/24'
    gateway_ip TEXT,                            -- NULL: none
    enable_dhcp BIGINT NOT NULL,
    ipv6_ra_mode TEXT,                          -- NULL | slaac | dhcpv6-stateful | dhcpv6-stateless
    ipv6_address_mode TEXT,                     -- same words
    subnetpool_id TEXT,
    segment_id TEXT,
    dns_publish_fixed_ip BIGINT NOT NULL,
    revision_number BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE INDEX subnets_network ON subnets (network_id);
CREATE INDEX subnets_project ON subnets (project_id);

-- Inclusive ranges out of which addresses are handed to ports that ask for none in particular.
CREATE TABLE subnet_allocation_pools (
    subnet_id TEXT NOT NULL REFERENCES subnets (id) ON DELETE CASCADE,
    position BIGINT NOT NULL,
    first_ip TEXT NOT NULL,
    last_ip TEXT NOT NULL,
    PRIMARY KEY (subnet_id, position)
);

CREATE TABLE subnet_dns_nameservers (
    subnet_id TEXT NOT NULL REFERENCES subnets (id) ON DELETE CASCADE,
    position BIGINT NOT NULL,                  -- the order in which DHCP offers them
    address TEXT NOT NULL,
    PRIMARY KEY (subnet_id, position)
);

CREATE TABLE subnet_host_routes (
    subnet_id TEXT NOT NULL REFERENCES subnets (id) ON DELETE CASCADE,
    position BIGINT NOT NULL,
    destination TEXT NOT NULL,                  -- CIDR
    nexthop TEXT NOT NULL,
    PRIMARY KEY (subnet_id, position)
);

-- The addresses of the pools that no port has, as maximal runs (network_model::free_addresses). Bounds are hexadecimal
-- digits in network order, 8 or 32 of them, so that text sorts like numbers.
CREATE TABLE ip_free_ranges (
    subnet_id TEXT NOT NULL REFERENCES subnets (id) ON DELETE CASCADE,
    first_ip TEXT NOT NULL,
    last_ip TEXT NOT NULL,
    PRIMARY KEY (subnet_id, last_ip)
);
