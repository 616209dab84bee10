//! Whole-system scenarios: a lab of the binary's own making, the real `openstack` client, real packets.
//!
//! The scenarios are in `tests/`; here is what they share.
