//! Keystone v3 subset: tokens, catalogue, projects, users, roles.
