//! A stream from a switch, and flows in text.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| openflow::fuzz_decode(data));
