CREATE TABLE agents (
    id TEXT PRIMARY KEY,
    agent_type TEXT NOT NULL,                   -- 'Open vSwitch agent' | 'DHCP agent' | 'L3 agent'
    "binary" TEXT NOT NULL,                     -- 'neutron-openvswitch-agent', ... (the names that operators know)
    topic TEXT NOT NULL,                        -- 'N/A' | 'dhcp_agent' | 'l3_agent'
    host TEXT NOT NULL,
    availability_zone TEXT,                     -- DHCP and L3 agents only
    admin_state_up BIGINT NOT NULL,            -- 0: nothing new is scheduled to it
    description TEXT,
    configurations TEXT NOT NULL,               -- JSON: bridge_mappings, tunnel_types, tunneling_ip, datapath_type, ...
    resources_synced BIGINT,
    created_at BIGINT NOT NULL,
    started_at BIGINT NOT NULL,
    heartbeat_timestamp BIGINT NOT NULL,          -- alive while younger than agent_down_time
    UNIQUE (agent_type, host)
);

-- Which DHCP agents serve a network.
CREATE TABLE dhcp_agent_networks (
    network_id TEXT NOT NULL REFERENCES networks (id) ON DELETE CASCADE,
    agent_id TEXT NOT NULL REFERENCES agents (id) ON DELETE CASCADE,
    PRIMARY KEY (network_id, agent_id)
);
CREATE INDEX dhcp_agent_networks_agent ON dhcp_agent_networks (agent_id);
