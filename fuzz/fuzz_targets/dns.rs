//! A question to the DNS server.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| host_services::fuzz_dns(data));
