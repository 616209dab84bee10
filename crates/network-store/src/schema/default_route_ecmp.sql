-- Whether the default routes of all gateways of a router are used side by side.
ALTER TABLE routers ADD COLUMN enable_default_route_ecmp BIGINT NOT NULL DEFAULT 0;
