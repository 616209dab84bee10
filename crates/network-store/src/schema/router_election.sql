-- The order in which the hosts of a highly available router are preferred; it is given once, and never changes by who lives.
ALTER TABLE l3_agent_routers ADD COLUMN ha_priority BIGINT NOT NULL DEFAULT 0;  -- the lowest first; equal ones by the name of their host
