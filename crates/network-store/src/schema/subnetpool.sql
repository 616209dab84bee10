CREATE TABLE address_scopes (
    id TEXT PRIMARY KEY,
    project_id TEXT NOT NULL,
    name TEXT NOT NULL,
    shared BIGINT NOT NULL,                    -- every project may put its pools into it
    ip_version BIGINT NOT NULL                 -- 4 | 6
);
CREATE INDEX address_scopes_project ON address_scopes (project_id);

CREATE TABLE subnetpools (
    id TEXT PRIMARY KEY,
    project_id TEXT NOT NULL,
    name TEXT NOT NULL,
    description TEXT NOT NULL,
    ip_version BIGINT NOT NULL,                -- 4 | 6
    default_prefixlen BIGINT NOT NULL,         -- of a subnet whose request names none
    min_prefixlen BIGINT NOT NULL,             -- the largest subnet
    max_prefixlen BIGINT NOT NULL,             -- the smallest subnet
    default_quota BIGINT,                      -- what a project may have of it: addresses (IPv4), /64 prefixes (IPv6); NULL or 0: all
    is_default BIGINT NOT NULL,                -- what use_default_subnetpool means
    shared BIGINT NOT NULL,                    -- every project may cut subnets out of it
    address_scope_id TEXT REFERENCES address_scopes (id),
    revision_number BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE INDEX subnetpools_project ON subnetpools (project_id);
CREATE INDEX subnetpools_scope ON subnetpools (address_scope_id);
-- One default pool for each IP version.
CREATE UNIQUE INDEX subnetpools_default ON subnetpools (ip_version) WHERE is_default = 1;

-- The fewest prefixes that hold the pool's addresses, rising.
CREATE TABLE subnetpool_prefixes (
    subnetpool_id TEXT NOT NULL REFERENCES subnetpools (id) ON DELETE CASCADE,
    position BIGINT NOT NULL,
    cidr TEXT NOT NULL,
    PRIMARY KEY (subnetpool_id, position)
);

-- subnets.subnetpool_id is the id of a pool, or 'prefix_delegation' while the subnet waits for a prefix.
CREATE INDEX subnets_pool ON subnets (subnetpool_id);
