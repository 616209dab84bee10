//! A datagram to the DHCPv6 server from a known client, as it comes and as if meant for this server.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| host_services::fuzz_dhcp6(data));
