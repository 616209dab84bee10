-- The network that a project got for the asking, and its router.
CREATE TABLE auto_allocated_topologies (
    project_id TEXT PRIMARY KEY,
    network_id TEXT NOT NULL REFERENCES networks (id) ON DELETE CASCADE,
    router_id TEXT NOT NULL
);
CREATE INDEX auto_allocated_topologies_network ON auto_allocated_topologies (network_id);
