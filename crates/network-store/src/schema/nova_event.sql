-- What Nova has still to be told, written with the change that it tells of and removed when Nova has answered.
CREATE TABLE nova_events (
    revision BIGINT PRIMARY KEY,                -- its own entry in the change log: the order of events
    server_id TEXT NOT NULL,                    -- the instance, by the port's device_id
    name TEXT NOT NULL,                         -- network-vif-plugged | network-vif-unplugged | network-vif-deleted | network-changed
    status TEXT,                                -- completed | failed; NULL: not told
    port_id TEXT NOT NULL                       -- Nova's tag; the port may be gone
);
-- Which server tells it: one of those on this database.
CREATE TABLE nova_sender (
    only_row BIGINT PRIMARY KEY CHECK (only_row = 1),
    holder TEXT NOT NULL,                       -- the server's name; empty: none yet
    held_until BIGINT NOT NULL                  -- an instant; whoever finds it past may take over
);
INSERT INTO nova_sender (only_row, holder, held_until) VALUES (1, '', 0);
