//! Networks, subnets, ports, routers, groups: invariants and allocation, pure.
