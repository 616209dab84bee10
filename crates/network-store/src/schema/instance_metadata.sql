-- What the server's own metadata service tells an instance beside what its ports say. Nova is not there to ask.
CREATE TABLE instance_metadata (
    device_id TEXT PRIMARY KEY,                 -- ports.device_id of its ports
    hostname TEXT NOT NULL,
    user_data BYTEA,                            -- octet by octet what was given; NULL: none
    public_keys TEXT NOT NULL                   -- JSON object: name to key in OpenSSH's format
);
