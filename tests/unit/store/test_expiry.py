"""From which instant on a row is forgotten, for each of the settings."""

from anyclawd.model.plan import SessionStore
from anyclawd.store.expiry import due, resting_since

DAY_MS = 86_400_000
NOW_MS = 1000 * DAY_MS


def test_each_kind_of_row_is_kept_for_its_time() -> None:
    settings = SessionStore(ttl_days=1, keep_messages_s=2 * 86400.0, keep_history_s=3 * 86400.0)
    ages = {
        (sql.split()[0], sql.split()[1 + sql.startswith("DELETE")]): (NOW_MS - int(values[0] or 0))
        for sql, values in due(settings, NOW_MS)
        if "choices" not in sql and "deliveries" not in sql
    }
    assert {key: age / DAY_MS for key, age in ages.items()} == {
        ("DELETE", "messages"): 2,
        ("DELETE", "turns"): 3,
        ("UPDATE", "conversations"): 1,
        ("DELETE", "conversations"): 1,
        ("DELETE", "asks"): 1,
        ("DELETE", "codes"): 0,
    }


def test_a_conversation_rests_for_whole_days() -> None:
    assert resting_since(SessionStore(ttl_days=7), NOW_MS) == NOW_MS - 7 * DAY_MS
    assert resting_since(SessionStore(ttl_days=0), NOW_MS) == NOW_MS
