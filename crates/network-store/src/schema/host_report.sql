-- What hosts' agents have last reported, for the servers of a shared database: an agent talks to one of them, all must know.
-- Not written where there is only one server.
CREATE TABLE host_reports (
    host TEXT PRIMARY KEY NOT NULL,
    session TEXT NOT NULL,          -- one life of the agent
    revision BIGINT NOT NULL,       -- of the change log, up to which the host has realised what it was told
    reported_at BIGINT NOT NULL
);
CREATE TABLE host_report_ports (
    host TEXT NOT NULL REFERENCES host_reports (host) ON DELETE CASCADE,
    port_id TEXT NOT NULL REFERENCES ports (id) ON DELETE CASCADE,
    state TEXT NOT NULL,            -- host_view::PortState as JSON
    PRIMARY KEY (host, port_id)
);
CREATE INDEX host_report_ports_port ON host_report_ports (port_id);
