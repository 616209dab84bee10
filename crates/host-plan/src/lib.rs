//! HostView -> bridges, flows, namespaces, nat, dhcp; and the difference.
