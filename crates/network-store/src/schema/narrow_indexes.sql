-- Each index is a page more in the commit of every row that it has an entry for. Of references that most rows do not have,
-- only those that have it; and none that another one begins with.
DROP INDEX security_group_rules_group;   -- security_group_rules_match
DROP INDEX security_group_rules_remote;
CREATE INDEX security_group_rules_remote ON security_group_rules (remote_group_id) WHERE remote_group_id IS NOT NULL;
DROP INDEX security_group_rules_address_group;
CREATE INDEX security_group_rules_address_group ON security_group_rules (remote_address_group_id)
    WHERE remote_address_group_id IS NOT NULL;
DROP INDEX routers_gateway;
CREATE INDEX routers_gateway ON routers (gateway_port_id) WHERE gateway_port_id IS NOT NULL;
DROP INDEX routers_flavor;
CREATE INDEX routers_flavor ON routers (flavor_id) WHERE flavor_id IS NOT NULL;
DROP INDEX subnets_segment;
CREATE INDEX subnets_segment ON subnets (segment_id) WHERE segment_id IS NOT NULL;
DROP INDEX subnets_pool;
CREATE INDEX subnets_pool ON subnets (subnetpool_id) WHERE subnetpool_id IS NOT NULL;
DROP INDEX floating_ips_port;
CREATE INDEX floating_ips_port ON floating_ips (port_id) WHERE port_id IS NOT NULL;
DROP INDEX floating_ips_router;
CREATE INDEX floating_ips_router ON floating_ips (router_id) WHERE router_id IS NOT NULL;
