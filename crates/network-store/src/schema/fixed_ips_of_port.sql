-- A port's addresses are read with every port that is shown: in their order, and from the index alone.
DROP INDEX fixed_ips_port;
CREATE INDEX fixed_ips_port ON fixed_ips (port_id, position, subnet_id, ip_address);
