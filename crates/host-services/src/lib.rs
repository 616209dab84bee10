//! DHCP served from inside the agent, a socket per namespace.
