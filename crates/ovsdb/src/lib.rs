//! OVSDB (RFC 7047): values, operations, monitor updates into a cache; sans-I/O.
