//! A stream from a database server, or from its client.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ovsdb::fuzz_decode(data));
