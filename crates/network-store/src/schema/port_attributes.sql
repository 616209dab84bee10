-- What extensions tell of a port. All of it is the client's word: kept and shown, and read by those whom it is for.
ALTER TABLE ports ADD COLUMN dns_name TEXT NOT NULL DEFAULT '';                 -- what DHCP and DNS call it; '': host-<address>
ALTER TABLE ports ADD COLUMN dns_domain TEXT NOT NULL DEFAULT '';               -- where an external DNS service would publish it
ALTER TABLE ports ADD COLUMN numa_affinity_policy TEXT;                         -- required | preferred | socket | legacy, for Nova
ALTER TABLE ports ADD COLUMN device_profile TEXT;                               -- name of a profile of Cyborg
ALTER TABLE ports ADD COLUMN hardware_offload_type TEXT;                        -- switchdev
ALTER TABLE ports ADD COLUMN trusted BIGINT;                                    -- NULL: not said; else stands in binding_profile too
ALTER TABLE ports ADD COLUMN hints TEXT;                                        -- JSON object, for the switch
ALTER TABLE ports ADD COLUMN data_plane_status TEXT;                            -- ACTIVE | DOWN, what somebody outside has measured
ALTER TABLE ports ADD COLUMN propagate_uplink_status BIGINT NOT NULL DEFAULT 1; -- a VF's link follows that of its card
ALTER TABLE ports ADD COLUMN pvlan_type TEXT;                                   -- promiscuous | isolated | community; NULL: no private VLAN
ALTER TABLE ports ADD COLUMN pvlan_community TEXT;                              -- its community's name

-- Whether a network is a private VLAN: its ports reach each other by their pvlan_type only.
ALTER TABLE networks ADD COLUMN pvlan BIGINT NOT NULL DEFAULT 0;

-- extra_dhcp_opts.
CREATE TABLE port_dhcp_options (
    port_id TEXT NOT NULL REFERENCES ports (id) ON DELETE CASCADE,
    opt_name TEXT NOT NULL,                     -- dnsmasq's name or number of the option
    ip_version BIGINT NOT NULL,                 -- 4 | 6
    opt_value TEXT NOT NULL,
    PRIMARY KEY (port_id, opt_name, ip_version)
);
