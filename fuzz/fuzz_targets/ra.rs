//! A router solicitation as it comes, and addresses to advertise.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| host_services::fuzz_ra(data));
