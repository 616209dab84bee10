-- Trunks: a port whose tagged traffic is that of other ports.
CREATE TABLE trunks (
    id TEXT PRIMARY KEY,
    project_id TEXT NOT NULL,
    name TEXT NOT NULL,
    description TEXT NOT NULL,
    admin_state_up BIGINT NOT NULL,             -- while it is down nothing of it may change
    status TEXT NOT NULL,                       -- DOWN: not realised on a host | ACTIVE | BUILD | DEGRADED | ERROR
    port_id TEXT NOT NULL UNIQUE REFERENCES ports (id), -- the parent: what an instance sees
    revision_number BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE INDEX trunks_project ON trunks (project_id);

CREATE TABLE trunk_subports (
    port_id TEXT PRIMARY KEY REFERENCES ports (id),
    trunk_id TEXT NOT NULL REFERENCES trunks (id) ON DELETE CASCADE,
    segmentation_type TEXT NOT NULL,            -- vlan
    segmentation_id BIGINT NOT NULL,            -- the tag on the parent, 1 to 4094
    UNIQUE (trunk_id, segmentation_type, segmentation_id)
);

-- The bindings of ports that are on their way to another host. The one in use stands with the port itself.
CREATE TABLE port_bindings (
    id TEXT PRIMARY KEY,
    port_id TEXT NOT NULL REFERENCES ports (id) ON DELETE CASCADE,
    host TEXT NOT NULL,
    vnic_type TEXT NOT NULL,
    profile TEXT NOT NULL,                      -- JSON object, from the client
    vif_type TEXT NOT NULL,
    vif_details TEXT NOT NULL,                  -- JSON object
    UNIQUE (port_id, host)
);
