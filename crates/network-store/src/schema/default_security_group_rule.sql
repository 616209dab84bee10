-- The rules that a new security group begins with.
CREATE TABLE default_security_group_rules (
    id TEXT PRIMARY KEY,
    description TEXT NOT NULL,
    direction TEXT NOT NULL,                    -- from here on as in security_group_rules
    ethertype TEXT NOT NULL,
    protocol TEXT,
    port_range_min BIGINT,
    port_range_max BIGINT,
    remote_ip_prefix TEXT,
    remote_group_id TEXT,                       -- a group, or 'PARENT': the new group itself
    remote_address_group_id TEXT,
    used_in_default_sg BIGINT NOT NULL,         -- for the group that every project has
    used_in_non_default_sg BIGINT NOT NULL,     -- for all others
    match_key TEXT NOT NULL                     -- as in security_group_rules
);
CREATE UNIQUE INDEX default_security_group_rules_default
    ON default_security_group_rules (match_key) WHERE used_in_default_sg = 1;
CREATE UNIQUE INDEX default_security_group_rules_other
    ON default_security_group_rules (match_key) WHERE used_in_non_default_sg = 1;
-- Neutron's: everything out; into a project's default group also everything from its own ports.
INSERT INTO default_security_group_rules (id, description, direction, ethertype, protocol, port_range_min, port_range_max,
    remote_ip_prefix, remote_group_id, remote_address_group_id, used_in_default_sg, used_in_non_default_sg, match_key) VALUES
    ('00000001-0000-4000-8000-000000000000', 'Legacy default SG rule for egress traffic', 'egress', 'IPv4', NULL, NULL, NULL, NULL, NULL, NULL, 1, 1,
     'egress IPv4 - - - - - -'),
    ('00000002-0000-4000-8000-000000000000', 'Legacy default SG rule for egress traffic', 'egress', 'IPv6', NULL, NULL, NULL, NULL, NULL, NULL, 1, 1,
     'egress IPv6 - - - - - -'),
    ('00000003-0000-4000-8000-000000000000', 'Legacy default SG rule for ingress traffic', 'ingress', 'IPv4', NULL, NULL, NULL, NULL, 'PARENT', NULL, 1, 0,
     'ingress IPv4 - - - - PARENT -'),
    ('00000004-0000-4000-8000-000000000000', 'Legacy default SG rule for ingress traffic', 'ingress', 'IPv6', NULL, NULL, NULL, NULL, 'PARENT', NULL, 1, 0,
     'ingress IPv6 - - - - PARENT -');

-- What `stateful` of a new group is when nobody says: for one project, or (project_id NULL) for all others.
CREATE TABLE security_groups_default_statefulness (
    id TEXT PRIMARY KEY,
    project_id TEXT,
    stateful BIGINT NOT NULL
);
CREATE UNIQUE INDEX security_groups_default_statefulness_project
    ON security_groups_default_statefulness (COALESCE(project_id, ''));
