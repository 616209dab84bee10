-- Nova is told once when a port that is to move is wired on the host that it goes to.
ALTER TABLE port_bindings ADD COLUMN wired BIGINT NOT NULL DEFAULT 0;           -- 1: its host says that the device is there and programmed
