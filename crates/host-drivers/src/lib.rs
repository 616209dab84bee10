//! Thin clients: OVSDB, OpenFlow, netlink, namespaces, nft, conntrack.
