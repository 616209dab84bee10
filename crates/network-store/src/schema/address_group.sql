CREATE TABLE address_groups (
    id TEXT PRIMARY KEY,
    project_id TEXT NOT NULL,
    name TEXT NOT NULL,
    description TEXT NOT NULL,
    revision_number BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE INDEX address_groups_project ON address_groups (project_id);

CREATE TABLE address_group_addresses (
    address_group_id TEXT NOT NULL REFERENCES address_groups (id) ON DELETE CASCADE,
    address TEXT NOT NULL,                      -- CIDR without host bits
    PRIMARY KEY (address_group_id, address)
);

-- security_group_rules.remote_address_group_id is one of these groups, which stays while a rule names it.
CREATE INDEX security_group_rules_address_group ON security_group_rules (remote_address_group_id);
