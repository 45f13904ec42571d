"""What has become of messages, by the daemon's figures and by the database."""

import sqlite3
from contextlib import closing
from pathlib import Path

from anyclawd.cli.doctor.evidence.store import opened
from anyclawd.cli.doctor.scene import Online, Scene
from anyclawd.cli.doctor.verdict.messages import MessageFacts

_OPEN = "SELECT count(*) FROM messages WHERE state IN ('queued', 'running')"
_UNDER_WAY = "SELECT channel, count(*) FROM deliveries WHERE closed_at IS NULL GROUP BY channel"
_GIVEN_UP = "SELECT count(*) FROM deliveries WHERE closed_at IS NOT NULL AND NOT has_arrived"


def facts_of(scene: Scene) -> MessageFacts | None:
    if scene.online is not None:
        return _live(scene, scene.online)
    return _kept(scene)


def _live(scene: Scene, online: Online) -> MessageFacts:
    figures, counted = scene.figures, online.status["conversations"]
    kept = _kept(scene)
    queues = figures.by("anyclawd_queue_depth", "agent")
    pending = figures.by("anyclawd_deliveries_pending", "channel")
    return MessageFacts(
        is_live=True,
        open=counted["queued"] + counted["running"],
        waiting={name: int(count) for name, count in queues},
        undelivered={name: int(count) for name, count in pending},
        given_up=0 if kept is None else kept.given_up,
        store_trouble=counted["store"],
        lost_steps=int(figures.value("anyclawd_store_lost_total") or 0),
        truncated=int(figures.value("anyclawd_truncated_answers_total") or 0),
    )


def _kept(scene: Scene) -> MessageFacts | None:
    """As the database has them; None where there is none that can be read."""
    store = scene.store
    if store is None or not store.version or store.is_foreign or store.damage:
        return None
    is_still = scene.online is None and scene.holder is None and not store.log_bytes
    try:
        with closing(opened(Path(store.path), is_still=is_still)) as db:
            return MessageFacts(
                is_live=False,
                open=db.execute(_OPEN).fetchone()[0],
                undelivered=dict(db.execute(_UNDER_WAY).fetchall()),
                given_up=db.execute(_GIVEN_UP).fetchone()[0],
            )
    except sqlite3.Error:  # what is wrong with the file is told by the check of it
        return None
