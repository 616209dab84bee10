//! What is not rows of a resource.

pub mod extensions;
pub mod openapi;
pub mod quotas;
pub mod tags;
pub mod versions;
