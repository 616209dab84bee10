-- Segments are objects of their own, and a network may have several.
ALTER TABLE network_segments ADD COLUMN name TEXT;
ALTER TABLE network_segments ADD COLUMN description TEXT NOT NULL DEFAULT '';
-- Whether it is its network's only one: then the network shows it as its provider attributes.
ALTER TABLE network_segments ADD COLUMN is_only BIGINT NOT NULL DEFAULT 1;
ALTER TABLE network_segments ADD COLUMN revision_number BIGINT NOT NULL DEFAULT 0;
ALTER TABLE network_segments ADD COLUMN created_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE network_segments ADD COLUMN updated_at BIGINT NOT NULL DEFAULT 0;
UPDATE network_segments SET
    created_at = (SELECT created_at FROM networks WHERE networks.id = network_segments.network_id),
    updated_at = (SELECT created_at FROM networks WHERE networks.id = network_segments.network_id);

ALTER TABLE subnets ADD COLUMN service_types TEXT NOT NULL DEFAULT '[]';   -- JSON: owners of the devices that it is for; []: any
CREATE INDEX subnets_segment ON subnets (segment_id);

-- 1: a route to a subnet of another segment of the network, which comes and goes with that.
ALTER TABLE subnet_host_routes ADD COLUMN automatic BIGINT NOT NULL DEFAULT 0;

ALTER TABLE ports ADD COLUMN ip_allocation TEXT NOT NULL DEFAULT 'immediate';   -- immediate | deferred (until it has a host) | none
