-- Limits that an administrator set for a project; where there is no row the configured default holds.
CREATE TABLE quotas (
    project_id TEXT NOT NULL,
    resource TEXT NOT NULL,                     -- network | subnet | port | router | floatingip | security_group | ...
    quota_limit BIGINT NOT NULL,               -- -1: no limit
    PRIMARY KEY (project_id, resource)
);
