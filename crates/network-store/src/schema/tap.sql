-- Port mirroring (Tap as a Service). A tap service is a port that copies are delivered to.
CREATE TABLE tap_services (
    id TEXT PRIMARY KEY,
    project_id TEXT NOT NULL,
    name TEXT NOT NULL,
    description TEXT NOT NULL,
    port_id TEXT NOT NULL REFERENCES ports (id), -- where the copies go
    tunnel_key BIGINT NOT NULL UNIQUE           -- of its copies on their way between hosts; no network's segmentation_id
);
CREATE INDEX tap_services_project ON tap_services (project_id);
CREATE INDEX tap_services_port ON tap_services (port_id);

-- A tap flow is a port whose frames are copied to a tap service.
CREATE TABLE tap_flows (
    id TEXT PRIMARY KEY,
    project_id TEXT NOT NULL,
    name TEXT NOT NULL,
    description TEXT NOT NULL,
    tap_service_id TEXT NOT NULL REFERENCES tap_services (id),
    source_port TEXT NOT NULL REFERENCES ports (id), -- whose frames are copied
    direction TEXT NOT NULL                     -- IN: what the port receives | OUT: what it sends | BOTH
);
CREATE INDEX tap_flows_project ON tap_flows (project_id);
CREATE INDEX tap_flows_service ON tap_flows (tap_service_id);
CREATE INDEX tap_flows_port ON tap_flows (source_port);

-- A tap mirror is a port whose frames are copied to a collector outside, by GRE or ERSPAN.
CREATE TABLE tap_mirrors (
    id TEXT PRIMARY KEY,
    project_id TEXT NOT NULL,
    name TEXT NOT NULL,
    description TEXT NOT NULL,
    port_id TEXT NOT NULL REFERENCES ports (id), -- whose frames are copied
    directions TEXT NOT NULL,                   -- JSON: direction to number, as it was given
    remote_ip TEXT NOT NULL,                    -- the collector
    mirror_type TEXT NOT NULL                   -- gre | erspanv1
);
CREATE INDEX tap_mirrors_project ON tap_mirrors (project_id);
CREATE INDEX tap_mirrors_port ON tap_mirrors (port_id);

-- The numbers of tap mirrors, each used once.
CREATE TABLE tap_mirror_tunnels (
    tunnel_id BIGINT PRIMARY KEY,               -- GRE's key, ERSPAN's session
    tap_mirror_id TEXT NOT NULL REFERENCES tap_mirrors (id) ON DELETE CASCADE,
    direction TEXT NOT NULL                     -- IN | OUT | BOTH
);
CREATE INDEX tap_mirror_tunnels_mirror ON tap_mirror_tunnels (tap_mirror_id);
