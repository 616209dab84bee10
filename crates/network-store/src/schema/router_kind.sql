-- Routers on several hosts, and what an administrator schedules by hand.
ALTER TABLE routers ADD COLUMN ha_vr_id BIGINT;                          -- VRRP's virtual router id; NULL: not highly available
ALTER TABLE routers ADD COLUMN schedule_hold BIGINT NOT NULL DEFAULT 0;  -- 1: taken off an agent by hand; nobody but a change of the router schedules it again
ALTER TABLE l3_agent_routers ADD COLUMN ha_state TEXT;                   -- active | standby; NULL: the router is not highly available
ALTER TABLE networks ADD COLUMN dhcp_hold BIGINT NOT NULL DEFAULT 0;     -- 1: taken off a DHCP agent by hand; a new port or subnet ends it

-- Each project's network on which its highly available routers would agree who is active.
CREATE TABLE ha_networks (
    project_id TEXT PRIMARY KEY,
    network_id TEXT NOT NULL UNIQUE REFERENCES networks (id) ON DELETE CASCADE
);
