CREATE TABLE qos_policies (
    id TEXT PRIMARY KEY,
    project_id TEXT NOT NULL,
    name TEXT NOT NULL,
    description TEXT NOT NULL,
    is_default BIGINT NOT NULL,                 -- what new networks of the project get
    revision_number BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE INDEX qos_policies_project ON qos_policies (project_id);
CREATE UNIQUE INDEX qos_policies_default ON qos_policies (project_id) WHERE is_default = 1;

CREATE TABLE qos_rules (
    id TEXT PRIMARY KEY,
    qos_policy_id TEXT NOT NULL REFERENCES qos_policies (id) ON DELETE CASCADE,
    kind TEXT NOT NULL,                         -- bandwidth_limit | dscp_marking | minimum_bandwidth | minimum_packet_rate | packet_rate_limit
    direction TEXT,                             -- ingress | egress | any; NULL: marks have none
    rate BIGINT NOT NULL,                       -- kbit/s, thousand packets/s, or the mark, as the kind says
    burst BIGINT NOT NULL                       -- kbit or thousand packets beyond a limit; 0: the host's own measure
);
CREATE UNIQUE INDEX qos_rules_kind ON qos_rules (qos_policy_id, kind, COALESCE(direction, ''));

-- Who has a policy. Ports without one of their own obey their network's.
ALTER TABLE networks ADD COLUMN qos_policy_id TEXT REFERENCES qos_policies (id);
ALTER TABLE ports ADD COLUMN qos_policy_id TEXT REFERENCES qos_policies (id);
ALTER TABLE floating_ips ADD COLUMN qos_policy_id TEXT REFERENCES qos_policies (id);
ALTER TABLE routers ADD COLUMN gateway_qos_policy_id TEXT REFERENCES qos_policies (id);
CREATE INDEX networks_qos ON networks (qos_policy_id) WHERE qos_policy_id IS NOT NULL;
CREATE INDEX ports_qos ON ports (qos_policy_id) WHERE qos_policy_id IS NOT NULL;
CREATE INDEX floating_ips_qos ON floating_ips (qos_policy_id) WHERE qos_policy_id IS NOT NULL;
CREATE INDEX routers_gateway_qos ON routers (gateway_qos_policy_id) WHERE gateway_qos_policy_id IS NOT NULL;
-- What the guarantees of a port's policy ask of Placement: JSON, written whenever one of them changes; NULL: nothing.
ALTER TABLE ports ADD COLUMN resource_request TEXT;
