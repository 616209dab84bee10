//! A datagram to the DHCP server, as it comes and as if from a known client.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| host_services::fuzz_dhcp(data));
