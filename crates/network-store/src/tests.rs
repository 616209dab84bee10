//! The units of work against a real store.
