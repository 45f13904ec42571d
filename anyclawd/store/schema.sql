-- The schema of the current version; docs/explanation/store.md tells the life of each row.
-- A change of it takes a new number and a step in migrate.py. Instants (*_at) are milliseconds
-- since 1970. No row refers to another one: each kind is kept for a time of its own.

-- One ACP session of a chat. A chat has at most one that is current.
CREATE TABLE conversations (
    session TEXT NOT NULL,
    number INTEGER NOT NULL,
    channel TEXT NOT NULL,
    channel_name TEXT NOT NULL,
    peer_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    agent TEXT NOT NULL,
    acp_id TEXT NOT NULL,
    title TEXT NOT NULL,
    has_turns INTEGER NOT NULL,
    choices TEXT NOT NULL,  -- JSON, by the id of the option
    is_current INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    active_at INTEGER NOT NULL,
    PRIMARY KEY (session, number)
) STRICT;
CREATE INDEX conversations_current ON conversations (session) WHERE is_current;
CREATE INDEX conversations_active ON conversations (active_at);

CREATE TABLE messages (
    place INTEGER PRIMARY KEY,  -- in the order of arrival
    id TEXT NOT NULL UNIQUE,
    session TEXT NOT NULL,
    channel TEXT NOT NULL,
    channel_name TEXT NOT NULL,
    peer_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    agent TEXT,
    source_id TEXT,  -- null where the channel gives none
    content TEXT NOT NULL,  -- JSON, a list of parts
    metadata TEXT,  -- JSON
    size_bytes INTEGER NOT NULL,
    state TEXT NOT NULL,
    text TEXT NOT NULL,  -- the stop reason of an answer, else why there is none
    delivery TEXT,
    received_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX messages_source ON messages (channel, source_id) WHERE source_id IS NOT NULL;
CREATE INDEX messages_session ON messages (session);
CREATE INDEX messages_open ON messages (place) WHERE state IN ('queued', 'running');
CREATE INDEX messages_updated ON messages (updated_at);

CREATE TABLE deliveries (
    place INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    session TEXT NOT NULL,
    channel TEXT NOT NULL,
    channel_name TEXT NOT NULL,
    peer_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    messages TEXT NOT NULL,  -- JSON, a list of message ids
    content TEXT NOT NULL,  -- JSON
    added_at INTEGER NOT NULL,
    closed_at INTEGER,  -- null while it is on its way
    has_arrived INTEGER NOT NULL
) STRICT;
CREATE INDEX deliveries_session ON deliveries (session);
CREATE INDEX deliveries_open ON deliveries (place) WHERE closed_at IS NULL;
CREATE INDEX deliveries_added ON deliveries (added_at);

-- What was said, as far as it is text.
CREATE TABLE turns (
    place INTEGER PRIMARY KEY,
    session TEXT NOT NULL,
    number INTEGER NOT NULL,
    prompt TEXT NOT NULL,
    answer TEXT NOT NULL,
    stop_reason TEXT NOT NULL,
    ended_at INTEGER NOT NULL
) STRICT;
CREATE INDEX turns_session ON turns (session, number);
CREATE INDEX turns_ended ON turns (ended_at);

-- Requests for permission that wait.
CREATE TABLE asks (
    place INTEGER PRIMARY KEY,
    request_id TEXT NOT NULL UNIQUE,
    session TEXT NOT NULL,
    channel TEXT NOT NULL,
    description TEXT NOT NULL,
    options TEXT NOT NULL,  -- JSON, a list of [id, label, whether it rejects]
    fingerprint TEXT NOT NULL,
    answer TEXT NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;
CREATE INDEX asks_session ON asks (session);

-- Answers that hold for the rest of a conversation.
CREATE TABLE choices (
    place INTEGER PRIMARY KEY,
    session TEXT NOT NULL,
    tool_kind TEXT NOT NULL,
    allows INTEGER NOT NULL,
    UNIQUE (session, tool_kind)
) STRICT;

-- Peers that were admitted by hand.
CREATE TABLE grants (
    place INTEGER PRIMARY KEY,
    channel TEXT NOT NULL,
    kind TEXT NOT NULL,
    peer_id TEXT NOT NULL,
    granted_at INTEGER NOT NULL,
    UNIQUE (channel, kind, peer_id)
) STRICT;

-- Codes by which a peer can be admitted.
CREATE TABLE codes (
    place INTEGER PRIMARY KEY,
    code TEXT NOT NULL UNIQUE,
    session TEXT NOT NULL,
    channel TEXT NOT NULL,
    grant_kind TEXT NOT NULL,
    grant_peer_id TEXT NOT NULL,
    channel_name TEXT NOT NULL,
    peer_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;
CREATE INDEX codes_session ON codes (session);

-- Written to find out whether writing works again.
CREATE TABLE pulse (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    written_at INTEGER NOT NULL
) STRICT;
