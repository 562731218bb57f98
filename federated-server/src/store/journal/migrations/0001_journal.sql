-- One schema for SQLite and PostgreSQL. SQLite takes any name of a type; BYTEA is PostgreSQL's for bytes.

-- Who writes, and how often anything was written.
CREATE TABLE coordinator (
    id BIGINT PRIMARY KEY CHECK (id = 1),
    epoch BIGINT NOT NULL,
    holder TEXT NOT NULL,
    expires BIGINT NOT NULL,
    commits BIGINT NOT NULL
);
INSERT INTO coordinator (id, epoch, holder, expires, commits) VALUES (1, 0, '', 0, 0);

-- Where the log of each job ends: how many entries it has, and the link of the last one.
CREATE TABLE logs (
    job TEXT PRIMARY KEY,
    length BIGINT NOT NULL,
    link BYTEA NOT NULL
);

-- The entries, numbered from 0.
CREATE TABLE entries (
    job TEXT NOT NULL,
    number BIGINT NOT NULL,
    body BYTEA NOT NULL,
    PRIMARY KEY (job, number)
);
