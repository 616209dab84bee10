-- Which segment ids the networks of projects may get. The default ranges are the configuration's, written at each start.
CREATE TABLE network_segment_ranges (
    id TEXT PRIMARY KEY,
    project_id TEXT NOT NULL,                   -- '': of all projects
    name TEXT NOT NULL,
    description TEXT NOT NULL,
    is_default BIGINT NOT NULL,                -- from the configuration
    shared BIGINT NOT NULL,                    -- of all projects
    network_type TEXT NOT NULL,                 -- vlan | vxlan | gre | geneve
    physical_network TEXT NOT NULL,             -- '' but for VLANs
    minimum BIGINT NOT NULL,
    maximum BIGINT NOT NULL,                   -- included
    revision_number BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE INDEX network_segment_ranges_type ON network_segment_ranges (is_default, network_type, physical_network);
CREATE UNIQUE INDEX network_segment_ranges_default
    ON network_segment_ranges (network_type, physical_network, minimum, maximum) WHERE is_default = 1;
