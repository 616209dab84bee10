-- Conventions of every table here: ids are UUIDs as lower-case hyphenated text; booleans are BIGINT 0 or 1; instants are
-- BIGINT microseconds since 1970 UTC; IP addresses and CIDRs are TEXT in canonical form (RFC 5952 for IPv6), MAC addresses
-- lower-case with colons; a column named "... JSON" holds JSON that no query looks into. project_id '' belongs to nobody.
-- The text stays within what SQLite and PostgreSQL both read.
CREATE TABLE networks (
    id TEXT PRIMARY KEY,
    project_id TEXT NOT NULL,
    name TEXT NOT NULL,
    description TEXT NOT NULL,
    admin_state_up BIGINT NOT NULL,
    status TEXT NOT NULL,                       -- ACTIVE | DOWN | BUILD | ERROR
    mtu BIGINT NOT NULL,                       -- octets that an instance may put into one IP packet
    shared BIGINT NOT NULL,                    -- every project may use it
    external BIGINT NOT NULL,                  -- router:external: routers may take gateways and floating IPs here
    is_default BIGINT NOT NULL,                -- the external network that auto-allocated topologies use
    port_security_enabled BIGINT NOT NULL,     -- what a new port of this network inherits
    vlan_transparent BIGINT,                   -- 0, 1 or NULL (not asked for)
    availability_zone_hints TEXT NOT NULL,      -- JSON: list of names
    dns_domain TEXT NOT NULL,                   -- '' or a name with a trailing dot
    revision_number BIGINT NOT NULL,           -- grows by one with every change of this object
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE INDEX networks_project ON networks (project_id);

-- What carries a network: one row per segment, position 0 is the one that provider:* shows. The row is the allocation too:
-- the index below is why no VLAN, VNI or flat network is ever used twice.
CREATE TABLE network_segments (
    id TEXT PRIMARY KEY,
    network_id TEXT NOT NULL REFERENCES networks (id) ON DELETE CASCADE,
    position BIGINT NOT NULL,
    network_type TEXT NOT NULL,                 -- flat | vlan | vxlan | local (provider:network_type)
    physical_network TEXT,                      -- the name that bridge_mappings and network_vlan_ranges know; NULL: tunnel or local
    segmentation_id BIGINT,                    -- VLAN id or VNI; NULL: flat or local
    UNIQUE (network_id, position)
);
CREATE UNIQUE INDEX network_segments_allocation
    ON network_segments (network_type, COALESCE(physical_network, ''), COALESCE(segmentation_id, 0))
    WHERE network_type <> 'local';

-- Tags of any object that has them (networks, subnets, ports, routers, floating IPs, security groups).
CREATE TABLE tags (
    object_id TEXT NOT NULL,
    tag TEXT NOT NULL,
    PRIMARY KEY (object_id, tag)
);
