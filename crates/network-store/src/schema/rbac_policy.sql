-- Who may use an object that is not theirs. Every object that can be shared has its entries here, by its id.
CREATE TABLE rbac_policies (
    id TEXT PRIMARY KEY,
    project_id TEXT NOT NULL,                   -- who made the entry
    object_type TEXT NOT NULL,                  -- network | security_group | ...
    object_id TEXT NOT NULL,                    -- goes with the object; the rules see to it
    target_project TEXT NOT NULL,               -- '*': every project
    action TEXT NOT NULL,                       -- access_as_shared | access_as_external
    UNIQUE (object_id, action, target_project)
);
CREATE INDEX rbac_policies_target ON rbac_policies (target_project, action, object_id);
CREATE INDEX rbac_policies_project ON rbac_policies (project_id);

-- What networks had said themselves until now. Their own ids, marked in front, make the entries' ids.
INSERT INTO rbac_policies (id, project_id, object_type, object_id, target_project, action)
    SELECT '00000001' || substr(id, 9), project_id, 'network', id, '*', 'access_as_shared' FROM networks WHERE shared = 1;
INSERT INTO rbac_policies (id, project_id, object_type, object_id, target_project, action)
    SELECT '00000002' || substr(id, 9), project_id, 'network', id, '*', 'access_as_external' FROM networks WHERE external = 1;
ALTER TABLE networks DROP COLUMN shared;
