-- Flavors of services, and the service profiles that say who makes such a service. An administrator's; of no project.
CREATE TABLE flavors (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    description TEXT,
    service_type TEXT NOT NULL,                 -- 'L3_ROUTER_NAT', ...
    enabled BIGINT NOT NULL
);

CREATE TABLE service_profiles (
    id TEXT PRIMARY KEY,
    description TEXT,
    driver TEXT NOT NULL,                       -- a Python path that names a provider; '': none
    metainfo TEXT NOT NULL,
    enabled BIGINT NOT NULL
);

CREATE TABLE flavor_service_profiles (
    id TEXT PRIMARY KEY,
    position BIGINT NOT NULL,                   -- the first profile of a flavor is the one that counts
    flavor_id TEXT NOT NULL REFERENCES flavors (id) ON DELETE CASCADE,
    service_profile_id TEXT NOT NULL REFERENCES service_profiles (id),
    UNIQUE (flavor_id, service_profile_id)
);
CREATE INDEX flavor_service_profiles_profile ON flavor_service_profiles (service_profile_id);
CREATE INDEX routers_flavor ON routers (flavor_id);
