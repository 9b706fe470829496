"""What one worker defines, the others hear of: once, in the newest form, per session."""

from __future__ import annotations

import pytest
from msgspec import Raw

from bridge.messages import Changes, Definition
from pool import sessions
from pool.definitions import Shelf
from pool.sessions import News, Seen, SessionStore

other = Seen()


def defines(key: str, version: str = "1") -> Changes:
    return Changes(Definition(key, version, Raw(b"{}")))


def forgets(*keys: str) -> Changes:
    return Changes(forget=list(keys))


def tell(store: SessionStore, session: str, seen: Seen, now: float = 0.0) -> News:
    news = store.news(session, seen, now)
    store.told(session, seen)
    return news


def versions(news: News) -> dict[str, str]:
    return {item.key: item.version for item in news.define}


def test_what_is_kept_is_bounded() -> None:
    assert (sessions.MAX_DEFINITIONS, sessions.MAX_TOMBSTONES) == (10_000, 10_000)
    assert sessions.MAX_BYTES == 256 * 1024 * 1024
    assert sessions.SESSION_TTL == 3600.0


def test_a_definition_reaches_each_worker_once() -> None:
    store = SessionStore()
    one, two = store.attach(), store.attach()
    store.learn("s", other, defines("a"), 0.0)
    assert versions(tell(store, "s", one)) == {"a": "1"}
    assert versions(tell(store, "s", one)) == {}
    assert versions(tell(store, "s", two)) == {"a": "1"}


def test_news_that_were_not_sent_are_news_again() -> None:
    store = SessionStore()
    seen = store.attach()
    store.learn("s", other, defines("a"), 0.0)
    store.news("s", seen, 0.0)
    assert versions(tell(store, "s", seen)) == {"a": "1"}


def test_a_redefinition_replaces_the_old_form() -> None:
    store = SessionStore()
    seen = store.attach()
    store.learn("s", other, defines("a", "1"), 0.0)
    tell(store, "s", seen)
    store.learn("s", other, defines("a", "2"), 0.0)
    assert versions(tell(store, "s", seen)) == {"a": "2"}
    assert versions(tell(store, "s", store.attach())) == {"a": "2"}


def test_a_redefinition_comes_after_what_was_told_before_it() -> None:
    store = SessionStore()
    seen = store.attach()
    for key in "ab":
        store.learn("s", other, defines(key), 0.0)
    tell(store, "s", seen)
    store.learn("s", other, defines("a", "2"), 0.0)
    assert versions(tell(store, "s", seen)) == {"a": "2"}


def test_the_worker_that_made_it_hears_when_another_forgets_it() -> None:
    store = SessionStore()
    maker, second = store.attach(), store.attach()
    tell(store, "s", maker)
    store.learn("s", maker, defines("a"), 0.0)
    tell(store, "s", second)
    store.learn("s", second, forgets("a"), 0.0)
    assert tell(store, "s", maker).forget == ["a"]


def test_the_worker_that_made_it_hears_when_all_is_forgotten() -> None:
    store = SessionStore()
    maker = store.attach()
    tell(store, "s", maker)
    store.learn("s", maker, defines("a"), 0.0)
    store.learn("t", other, Changes(forget_all=True), 0.0)
    assert tell(store, "s", maker).forget_sessions == ["s"]


def test_large_news_come_in_portions_and_nothing_is_lost() -> None:
    made = [Definition(str(i), "1", Raw(b"x" * 100)) for i in range(10)]
    parts = News(["gone"], ["old"], made).portions(350)
    assert [len(part.define) for part in parts] == [2, 2, 2, 2, 2]
    assert [item for part in parts for item in part.define] == made
    assert (parts[0].forget_sessions, parts[0].forget) == (["gone"], ["old"])
    assert News().portions(10) == [News()]


@pytest.mark.parametrize(("limit", "parts"), [(344, [2, 2]), (343, [1, 1, 1, 1]), (1, [1] * 4)])
def test_a_portion_is_as_large_as_it_may_be(limit: int, parts: list[int]) -> None:
    made = [Definition("key", "10", Raw(b"x" * 100))] * 4  # 64, twice the key, and the rest: 172
    assert [len(part.define) for part in News(define=made).portions(limit)] == parts


def test_definitions_come_in_the_order_they_were_made() -> None:
    store = SessionStore()
    for key in "cab":
        store.learn("s", other, defines(key), 0.0)
    assert [item.key for item in tell(store, "s", store.attach()).define] == ["c", "a", "b"]


def test_who_defines_unasked_is_told_of_what_came_before() -> None:
    store = SessionStore()
    maker = store.attach()
    store.learn("s", other, defines("a"), 0.0)
    store.learn("s", maker, defines("b"), 0.0)
    assert versions(tell(store, "s", maker)) == {"a": "1", "b": "1"}


def test_to_forget_in_a_session_that_nobody_knows_is_nothing() -> None:
    store = SessionStore()
    store.learn("s", other, forgets("a"), 0.0)
    seen = store.attach()
    assert tell(store, "s", seen) == News()
    assert seen.numbers == {}


def test_what_is_forgotten_is_forgotten_by_who_knew_it() -> None:
    store = SessionStore()
    knows, fresh = store.attach(), store.attach()
    store.learn("s", other, defines("a"), 0.0)
    tell(store, "s", knows)
    store.learn("s", other, forgets("a", "never there"), 0.0)
    assert tell(store, "s", knows).forget == ["a"]
    assert tell(store, "s", fresh) == News()
    assert len(store) == 0


def test_sessions_do_not_see_each_other() -> None:
    store = SessionStore()
    seen = store.attach()
    store.learn("s1", other, defines("a"), 0.0)
    assert versions(tell(store, "s2", seen)) == {}


def test_forgetting_all_reaches_every_session_on_every_worker() -> None:
    store = SessionStore()
    seen = store.attach()
    for session in ("s1", "s2"):
        store.learn(session, other, defines("a"), 0.0)
        tell(store, session, seen)
    store.learn("s3", other, Changes(forget_all=True), 0.0)
    assert tell(store, "s3", seen).forget_sessions == ["s1", "s2"]
    assert tell(store, "s3", seen).forget_sessions == []
    assert len(store) == 0


def test_who_is_gone_hears_nothing() -> None:
    store = SessionStore()
    seen = store.attach()
    store.learn("s", seen, defines("a"), 0.0)
    store.detach(seen)
    store.detach(seen)
    store.learn("t", other, Changes(forget_all=True), 0.0)
    assert seen.ended == set()


def test_a_session_expires_after_its_time_without_a_call() -> None:
    store = SessionStore(ttl=10.0)
    store.learn("s", other, defines("a"), 0.0)
    store.news("s", store.attach(), 5.0)
    kept = []
    for now in (14.9, 15.0):
        store.expire(now)
        kept.append(len(store))
    assert kept == [1, 0]


def test_an_unused_session_expires_everywhere() -> None:
    store = SessionStore(ttl=10.0)
    seen = store.attach()
    store.learn("old", other, defines("a"), 0.0)
    tell(store, "old", seen)
    store.learn("used", other, defines("b"), 5.0)
    store.expire(12.0)
    assert len(store) == 1
    assert tell(store, "used", seen, 12.0).forget_sessions == ["old"]


def test_a_session_that_comes_back_starts_afresh() -> None:
    store = SessionStore(ttl=10.0)
    seen = store.attach()
    store.learn("s", other, defines("a"), 0.0)
    tell(store, "s", seen)
    store.expire(20.0)
    store.learn("s", other, defines("b"), 21.0)
    news = tell(store, "s", seen, 21.0)
    assert (news.forget_sessions, versions(news)) == (["s"], {"b": "1"})


def test_the_oldest_definition_makes_room() -> None:
    store = SessionStore(max_definitions=2)
    seen = store.attach()
    for key in "abc":
        store.learn("s", other, defines(key), 0.0)
        tell(store, "s", seen)
    assert len(store) == 2
    assert versions(tell(store, "s", store.attach())) == {"b": "1", "c": "1"}


def test_what_was_defined_again_is_not_the_oldest() -> None:
    store = SessionStore(max_definitions=2)
    for key in "abac":
        store.learn("s", other, defines(key), 0.0)
    assert versions(tell(store, "s", store.attach())) == {"a": "1", "c": "1"}


@pytest.mark.parametrize(
    ("steps", "afresh"),
    [
        ("-a -b -c", False),
        ("-a -b -c -d", True),
        ("-a -a -a -a", False),  # one tombstone each time
        ("-a -b +a +b -c -d -e", False),  # two were taken away
        ("-a -b +a +b -c -d -e -f", True),
        ("-a -b -c -d tell -e -f -g", False),
        ("-a -b -c -d tell -e -f -g -h", True),
    ],
)
def test_above_some_tombstones_workers_are_told_afresh(
    steps: str, afresh: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "MAX_TOMBSTONES", 3)
    store = SessionStore()
    seen = store.attach()
    store.learn("s", seen, defines("kept"), 0.0)
    for step in steps.split():
        if step == "tell":
            tell(store, "s", seen)
            continue
        store.learn("s", other, defines(step[1]), 0.0)
        if step[0] == "-":
            store.learn("s", other, forgets(step[1]), 0.0)
    assert (tell(store, "s", seen).forget_sessions == ["s"]) is afresh
    tombstones = [k for k, (_, item) in store._sessions["s"].changes.items() if item is None]
    assert len(tombstones) <= 3


def test_the_tombstones_of_a_session_that_ends_are_gone() -> None:
    store = SessionStore()
    for change in (defines("a"), forgets("a")):
        store.learn("s", other, change, 0.0)
    buried = [len(store._buried)]
    store.expire(1e9)
    assert [*buried, len(store._buried)] == [1, 0]


def test_a_shelf_has_a_bound_in_places_and_in_bytes() -> None:
    shelf, old, new = Shelf(max_places=2, max_bytes=100), ("s", "old"), ("s", "new")
    shelf.put(old, 50)
    shelf.put(old, 60)
    shelf.take(("s", "unknown"))
    shelf.put(new, 40)
    surplus = [shelf.surplus()]
    shelf.put(new, 41)
    surplus.append(shelf.surplus())
    shelf.put(new, 1)
    shelf.put(("s", "newer"), 1)
    assert [*surplus, shelf.surplus()] == [None, old, old]


def test_tombstones_are_bounded() -> None:
    store = SessionStore()
    seen = store.attach()
    store.learn("s", other, defines("kept"), 0.0)
    tell(store, "s", seen)
    for i in range(sessions.MAX_TOMBSTONES + 1):
        store.learn("s", other, defines(str(i)), 0.0)
        store.learn("s", other, forgets(str(i)), 0.0)
    news = tell(store, "s", seen)
    assert (news.forget_sessions, versions(news), news.forget) == (["s"], {"kept": "1"}, [])


def test_definitions_are_bounded_in_bytes_and_the_oldest_make_room() -> None:
    store = SessionStore(max_bytes=10_000)
    seen = store.attach()
    for key in "abc":
        store.learn(key, seen, Changes(Definition(key, "1", Raw(b"x" * 4_000))), 0.0)
    assert len(store) == 2
    assert tell(store, "a", seen).forget == ["a"]
    assert versions(tell(store, "b", store.attach())) == {"b": "1"}
    store.learn("c", seen, Changes(Definition("c", "2", Raw(b"x" * 9_000))), 0.0)
    assert versions(tell(store, "b", store.attach())) == {}
    assert versions(tell(store, "c", store.attach())) == {"c": "2"}


def test_a_large_definition_makes_as_many_go_as_it_takes() -> None:
    store = SessionStore(max_bytes=10_000)
    for key in "abcdefgh":
        store.learn("s", other, Changes(Definition(key, "1", Raw(b"x" * 1_000))), 0.0)
    store.learn("s", other, Changes(Definition("large", "1", Raw(b"x" * 7_000))), 0.0)
    assert list(versions(tell(store, "s", store.attach()))) == ["g", "h", "large"]


def test_a_definition_that_alone_is_too_large_is_not_kept() -> None:
    store = SessionStore(max_bytes=1_000)
    store.learn("s", other, Changes(Definition("a", "1", Raw(b"x" * 1_000))), 0.0)
    assert len(store) == 0


def test_what_a_redefinition_replaces_takes_no_bytes_any_more() -> None:
    store = SessionStore(max_bytes=10_000)
    for number in range(10):
        store.learn("s", other, Changes(Definition("a", str(number), Raw(b"x" * 4_000))), 0.0)
        store.learn("s", other, Changes(Definition("b", str(number), Raw(b"x" * 4_000))), 0.0)
        store.learn("s", other, forgets("b"), 0.0)
    store.learn("t", other, Changes(Definition("c", "1", Raw(b"x" * 4_000))), 0.0)
    assert len(store) == 2


def test_sessions_with_nothing_but_tombstones_go_when_these_are_too_many() -> None:
    store = SessionStore()
    seen = store.attach()
    for number in range(2 * sessions.MAX_TOMBSTONES):
        store.learn(str(number), seen, defines("a"), 0.0)
        store.learn(str(number), seen, forgets("a"), 0.0)
    assert len(store._sessions) <= sessions.MAX_TOMBSTONES
    assert "0" in tell(store, "s", seen).forget_sessions


def test_what_is_defined_again_has_no_tombstone_any_more() -> None:
    store = SessionStore(max_definitions=2 * sessions.MAX_TOMBSTONES)
    seen = store.attach()
    store.learn("s", seen, defines("a"), 0.0)
    for number in range(sessions.MAX_TOMBSTONES + 1):
        for changes in (defines(str(number)), forgets(str(number)), defines(str(number))):
            store.learn("s", other, changes, 0.0)
    assert tell(store, "s", seen).forget_sessions == []
