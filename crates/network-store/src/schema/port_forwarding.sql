-- Port forwardings: ports of a floating IP that lead to ports of an instance. Numbers are of TCP, UDP, ...
CREATE TABLE port_forwardings (
    id TEXT PRIMARY KEY,
    floatingip_id TEXT NOT NULL REFERENCES floating_ips (id) ON DELETE CASCADE,
    description TEXT NOT NULL,
    protocol TEXT NOT NULL,                     -- tcp | udp | icmp | ...
    internal_port_id TEXT NOT NULL REFERENCES ports (id) ON DELETE CASCADE, -- the instance's port
    internal_ip_address TEXT NOT NULL,          -- which of that port's addresses
    internal_port_first BIGINT NOT NULL,
    internal_port_last BIGINT NOT NULL,         -- the first one, or as many more as outside
    external_port_first BIGINT NOT NULL,
    external_port_last BIGINT NOT NULL
);
CREATE UNIQUE INDEX port_forwardings_outside ON port_forwardings (floatingip_id, protocol, external_port_first, external_port_last);
CREATE UNIQUE INDEX port_forwardings_inside
    ON port_forwardings (internal_port_id, protocol, internal_ip_address, internal_port_first, internal_port_last);

-- Connection tracking helpers of a router.
CREATE TABLE conntrack_helpers (
    id TEXT PRIMARY KEY,
    router_id TEXT NOT NULL REFERENCES routers (id) ON DELETE CASCADE,
    protocol TEXT NOT NULL,                     -- tcp | udp | ...
    port BIGINT NOT NULL,
    helper TEXT NOT NULL                        -- ftp | tftp | sip | ...: the kernel's name for it
);
CREATE UNIQUE INDEX conntrack_helpers_once ON conntrack_helpers (router_id, protocol, port, helper);
