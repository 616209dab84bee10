-- What address scopes and subnet pools had said themselves until now: as networks in rbac_policy.sql.
INSERT INTO rbac_policies (id, project_id, object_type, object_id, target_project, action)
    SELECT '00000001' || substr(id, 9), project_id, 'address_scope', id, '*', 'access_as_shared'
    FROM address_scopes WHERE shared = 1;
INSERT INTO rbac_policies (id, project_id, object_type, object_id, target_project, action)
    SELECT '00000001' || substr(id, 9), project_id, 'subnetpool', id, '*', 'access_as_shared'
    FROM subnetpools WHERE shared = 1;
ALTER TABLE address_scopes DROP COLUMN shared;
ALTER TABLE subnetpools DROP COLUMN shared;
