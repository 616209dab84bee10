//! Networking API v2.0: generic handlers over the declarations.
