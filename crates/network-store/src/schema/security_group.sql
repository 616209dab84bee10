CREATE TABLE security_groups (
    id TEXT PRIMARY KEY,
    project_id TEXT NOT NULL,
    name TEXT NOT NULL,
    description TEXT NOT NULL,
    stateful BIGINT NOT NULL,
    is_default BIGINT NOT NULL,                -- made by itself for every project, one each, cannot be deleted
    revision_number BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE INDEX security_groups_project ON security_groups (project_id);
CREATE UNIQUE INDEX security_groups_default ON security_groups (project_id) WHERE is_default = 1;

CREATE TABLE security_group_rules (
    id TEXT PRIMARY KEY,
    project_id TEXT NOT NULL,
    security_group_id TEXT NOT NULL REFERENCES security_groups (id) ON DELETE CASCADE,
    description TEXT,                           -- NULL: a rule that came with its group
    direction TEXT NOT NULL,                    -- ingress | egress
    ethertype TEXT NOT NULL,                    -- IPv4 | IPv6
    protocol TEXT,                              -- NULL: any; as the API was given it: 'tcp', 'icmp', '6'
    port_range_min BIGINT,                     -- first port, or ICMP type
    port_range_max BIGINT,                     -- last port, or ICMP code
    remote_ip_prefix TEXT,                      -- CIDR, host bits as the client gave them; NULL: any
    normalized_cidr TEXT,                       -- the same without host bits
    remote_group_id TEXT REFERENCES security_groups (id),
    remote_address_group_id TEXT,
    revision_number BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE INDEX security_group_rules_group ON security_group_rules (security_group_id);
CREATE INDEX security_group_rules_remote ON security_group_rules (remote_group_id);
CREATE INDEX security_group_rules_project ON security_group_rules (project_id);
