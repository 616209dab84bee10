-- Which packets hosts shall write down. A log goes with the group or the port that it is about.
CREATE TABLE logs (
    id TEXT PRIMARY KEY,
    project_id TEXT NOT NULL,
    name TEXT NOT NULL,
    description TEXT NOT NULL,
    resource_type TEXT NOT NULL,                -- security_group
    resource_id TEXT REFERENCES security_groups (id) ON DELETE CASCADE, -- NULL: every group of the project
    target_id TEXT REFERENCES ports (id) ON DELETE CASCADE,             -- NULL: every port
    event TEXT NOT NULL,                        -- ACCEPT | DROP | ALL
    enabled BIGINT NOT NULL,
    revision_number BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE INDEX logs_project ON logs (project_id);
CREATE INDEX logs_resource ON logs (resource_id) WHERE resource_id IS NOT NULL;
CREATE INDEX logs_target ON logs (target_id) WHERE target_id IS NOT NULL;
