-- A file of version 1, as `.dump` tells it.
BEGIN TRANSACTION;
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
INSERT INTO "asks" VALUES(1,'r1','web:dm:ann','web','write a file?','[["yes","Yes",false],["no","No",true]]','{}','',1800000060000);
CREATE TABLE choices (
    place INTEGER PRIMARY KEY,
    session TEXT NOT NULL,
    tool_kind TEXT NOT NULL,
    allows INTEGER NOT NULL,
    UNIQUE (session, tool_kind)
) STRICT;
INSERT INTO "choices" VALUES(1,'web:dm:ann','edit',1);
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
INSERT INTO "codes" VALUES(1,'1234','web:dm:ann','web','dm','ann','web','ann','dm',1800000060000);
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
INSERT INTO "conversations" VALUES('web:dm:ann',1,'web','web','ann','dm','claude.agent','acp-1','',0,'{}',0,1800000000000,1800000000000);
INSERT INTO "conversations" VALUES('web:dm:ann',2,'web','web','ann','dm','claude.agent','acp-2','about cats',0,'{"model":"x"}',1,1800000000000,1800000000000);
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
INSERT INTO "deliveries" VALUES(1,'d1','web:dm:ann','web','web','ann','dm','["m1"]','{"text":"hi","stopReason":"end_turn"}',1800000000000,NULL,0);
CREATE TABLE grants (
    place INTEGER PRIMARY KEY,
    channel TEXT NOT NULL,
    kind TEXT NOT NULL,
    peer_id TEXT NOT NULL,
    granted_at INTEGER NOT NULL,
    UNIQUE (channel, kind, peer_id)
) STRICT;
INSERT INTO "grants" VALUES(1,'web','dm','ann',1800000000000);
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
INSERT INTO "messages" VALUES(1,'m1','web:dm:ann','web','web','ann','dm',NULL,'s1','[{"type":"text","text":"hello"}]','{"k":1}',5,'answered','end_turn','d1',1800000000000,1800000000000);
INSERT INTO "messages" VALUES(2,'m2','web:dm:ann','web','web','ann','dm',NULL,NULL,'[{"type":"text","text":"hello"}]',NULL,5,'running','',NULL,1800000000000,1800000000000);
CREATE TABLE pulse (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    written_at INTEGER NOT NULL
) STRICT;
CREATE TABLE turns (
    place INTEGER PRIMARY KEY,
    session TEXT NOT NULL,
    number INTEGER NOT NULL,
    prompt TEXT NOT NULL,
    answer TEXT NOT NULL,
    stop_reason TEXT NOT NULL,
    ended_at INTEGER NOT NULL
) STRICT;
INSERT INTO "turns" VALUES(1,'web:dm:ann',1,'hello','hi','end_turn',1800000000000);
CREATE INDEX conversations_current ON conversations (session) WHERE is_current;
CREATE INDEX conversations_active ON conversations (active_at);
CREATE UNIQUE INDEX messages_source ON messages (channel, source_id) WHERE source_id IS NOT NULL;
CREATE INDEX messages_session ON messages (session);
CREATE INDEX messages_open ON messages (place) WHERE state IN ('queued', 'running');
CREATE INDEX messages_updated ON messages (updated_at);
CREATE INDEX deliveries_session ON deliveries (session);
CREATE INDEX deliveries_open ON deliveries (place) WHERE closed_at IS NULL;
CREATE INDEX deliveries_added ON deliveries (added_at);
CREATE INDEX turns_session ON turns (session, number);
CREATE INDEX turns_ended ON turns (ended_at);
CREATE INDEX asks_session ON asks (session);
CREATE INDEX codes_session ON codes (session);
COMMIT;
PRAGMA application_id = 1633905783;
PRAGMA user_version = 1;
