CREATE TABLE metering_labels (
    id TEXT PRIMARY KEY,
    project_id TEXT NOT NULL,
    name TEXT NOT NULL,
    description TEXT NOT NULL,
    shared BIGINT NOT NULL                      -- it measures the routers of every project
);
CREATE INDEX metering_labels_project ON metering_labels (project_id);

-- Which traffic of its project's routers a label counts. Prefixes are as the client wrote them, with a length.
CREATE TABLE metering_label_rules (
    id TEXT PRIMARY KEY,
    project_id TEXT NOT NULL,
    metering_label_id TEXT NOT NULL REFERENCES metering_labels (id) ON DELETE CASCADE,
    direction TEXT NOT NULL,                    -- ingress | egress, as the router's gateway sees it
    excluded BIGINT NOT NULL,                   -- this traffic is not counted
    remote_ip_prefix TEXT,                      -- the side outside; NULL: the two below say it
    source_ip_prefix TEXT,
    destination_ip_prefix TEXT
);
CREATE INDEX metering_label_rules_label ON metering_label_rules (metering_label_id);
