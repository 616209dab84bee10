//! The tables of the identity service. All are named `identity_...`: `user` and `role` are SQL keywords elsewhere.

use store::Migration;

/// Every migration, oldest first.
pub(crate) const MIGRATIONS: &[Migration] = &[BASE, NAMES, SEVERAL_SERVERS];

/// Names are looked up without regard to case.
const NAMES: Migration = Migration {
    name: "identity/names-without-case",
    sql: "
DROP INDEX identity_project_name;
DROP INDEX identity_user_name;
CREATE INDEX identity_domain_lower_name ON identity_domain (lower(name));
CREATE INDEX identity_project_lower_name ON identity_project (lower(name), domain_id);
CREATE INDEX identity_user_lower_name ON identity_user (lower(name), domain_id);
CREATE INDEX identity_role_lower_name ON identity_role (lower(name));
",
};

/// What several servers on one database must know of each other.
const SEVERAL_SERVERS: Migration = Migration {
    name: "identity/several-servers",
    sql: "
CREATE TABLE identity_token_key (
    position BIGINT PRIMARY KEY NOT NULL,   -- the lowest seals, all open
    text TEXT NOT NULL                      -- as in a key file
);
CREATE TABLE identity_generation (
    only_row BIGINT PRIMARY KEY NOT NULL CHECK (only_row = 1),
    number BIGINT NOT NULL                  -- grows with every change of what tokens mean
);
INSERT INTO identity_generation (only_row, number) VALUES (1, 0);
",
};

const BASE: Migration = Migration {
    name: "identity/0001-base",
    sql: "
CREATE TABLE identity_domain (
    id TEXT PRIMARY KEY NOT NULL,
    name TEXT NOT NULL UNIQUE,
    description TEXT,
    enabled BIGINT NOT NULL,
    tags TEXT NOT NULL,
    options TEXT NOT NULL,
    extra TEXT NOT NULL
);
CREATE TABLE identity_project (
    id TEXT PRIMARY KEY NOT NULL,
    name TEXT NOT NULL,
    domain_id TEXT NOT NULL REFERENCES identity_domain (id) ON DELETE CASCADE,
    description TEXT,
    enabled BIGINT NOT NULL,
    parent_id TEXT NOT NULL,
    is_domain BIGINT NOT NULL CHECK (is_domain = 0),
    tags TEXT NOT NULL,
    options TEXT NOT NULL,
    extra TEXT NOT NULL,
    UNIQUE (domain_id, name)
);
CREATE INDEX identity_project_name ON identity_project (name);
CREATE TABLE identity_user (
    id TEXT PRIMARY KEY NOT NULL,
    name TEXT NOT NULL,
    domain_id TEXT NOT NULL REFERENCES identity_domain (id) ON DELETE CASCADE,
    enabled BIGINT NOT NULL,
    default_project_id TEXT,
    description TEXT,
    email TEXT,
    options TEXT NOT NULL,
    extra TEXT NOT NULL,
    password_hash TEXT,
    tokens_valid_from BIGINT NOT NULL DEFAULT 0,
    UNIQUE (domain_id, name)
);
CREATE INDEX identity_user_name ON identity_user (name);
CREATE TABLE identity_role (
    id TEXT PRIMARY KEY NOT NULL,
    name TEXT NOT NULL UNIQUE,
    domain_id TEXT CHECK (domain_id IS NULL),
    description TEXT,
    options TEXT NOT NULL,
    extra TEXT NOT NULL
);
CREATE TABLE identity_role_implication (
    prior_role_id TEXT NOT NULL REFERENCES identity_role (id) ON DELETE CASCADE,
    implied_role_id TEXT NOT NULL REFERENCES identity_role (id) ON DELETE CASCADE,
    PRIMARY KEY (prior_role_id, implied_role_id)
);
CREATE TABLE identity_project_role (
    user_id TEXT NOT NULL REFERENCES identity_user (id) ON DELETE CASCADE,
    target_id TEXT NOT NULL REFERENCES identity_project (id) ON DELETE CASCADE,
    role_id TEXT NOT NULL REFERENCES identity_role (id) ON DELETE CASCADE,
    PRIMARY KEY (user_id, target_id, role_id)
);
CREATE INDEX identity_project_role_target ON identity_project_role (target_id);
CREATE INDEX identity_project_role_role ON identity_project_role (role_id);
CREATE TABLE identity_domain_role (
    user_id TEXT NOT NULL REFERENCES identity_user (id) ON DELETE CASCADE,
    target_id TEXT NOT NULL REFERENCES identity_domain (id) ON DELETE CASCADE,
    role_id TEXT NOT NULL REFERENCES identity_role (id) ON DELETE CASCADE,
    PRIMARY KEY (user_id, target_id, role_id)
);
CREATE INDEX identity_domain_role_target ON identity_domain_role (target_id);
CREATE INDEX identity_domain_role_role ON identity_domain_role (role_id);
CREATE TABLE identity_region (
    id TEXT PRIMARY KEY NOT NULL,
    description TEXT NOT NULL,
    parent_region_id TEXT REFERENCES identity_region (id),
    extra TEXT NOT NULL
);
CREATE TABLE identity_service (
    id TEXT PRIMARY KEY NOT NULL,
    type TEXT NOT NULL,
    name TEXT,
    description TEXT,
    enabled BIGINT NOT NULL,
    extra TEXT NOT NULL
);
CREATE TABLE identity_endpoint (
    id TEXT PRIMARY KEY NOT NULL,
    service_id TEXT NOT NULL REFERENCES identity_service (id) ON DELETE CASCADE,
    interface TEXT NOT NULL,
    region_id TEXT REFERENCES identity_region (id),
    url TEXT NOT NULL,
    enabled BIGINT NOT NULL,
    extra TEXT NOT NULL
);
CREATE INDEX identity_endpoint_service ON identity_endpoint (service_id);
CREATE TABLE identity_revoked_token (
    audit_id TEXT PRIMARY KEY NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX identity_revoked_token_expiry ON identity_revoked_token (expires_at);
",
};
