"""What sessions have defined, and what each worker still lacks of it. Pure.

A bridge's reply may define or forget a key in the session of its call. Every
worker is told of the changes it has not seen, in order, with its next request
in that session: what was made on one worker exists on all, in its newest form.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import count

from bridge.messages import Changes, Definition
from pool.definitions import Session, Shelf

MAX_DEFINITIONS = 10_000
"""Definitions kept in all sessions together; the oldest is forgotten for a new one."""

MAX_BYTES = 256 * 1024 * 1024
"""What they may take together, in the same way."""

MAX_TOMBSTONES = 10_000
"""Forgotten keys remembered in all sessions together; above it workers are brought up to date
afresh in the session that has the oldest."""

SESSION_TTL = 3600.0
"""Seconds without a call after which a session and its definitions are forgotten."""


class Seen:
    """How far one worker is up to date: the last change it was told, per session."""

    __slots__ = ("ended", "numbers")

    def __init__(self) -> None:
        self.numbers: dict[str, int] = {}
        self.ended: set[str] = set()

    def end(self, session: str) -> None:
        """The worker must drop all it has of `session`."""
        if self.numbers.pop(session, None) is not None:
            self.ended.add(session)


@dataclass(frozen=True, slots=True)
class News:
    """What a worker must be told before it runs a call, in this order."""

    forget_sessions: list[str] = field(default_factory=list)
    forget: list[str] = field(default_factory=list)
    define: list[Definition] = field(default_factory=list)

    def portions(self, max_bytes: int) -> list[News]:
        """The same in several parts, each with one definition or at most `max_bytes` of them."""
        parts, size = [News(self.forget_sessions, self.forget)], 0
        for item in self.define:
            size += _encoded_size(item)
            if size > max_bytes and parts[-1].define:
                parts.append(News())
                size = _encoded_size(item)
            parts[-1].define.append(item)
        return parts


def _encoded_size(item: Definition) -> int:
    """Bytes that a definition takes in a frame, or somewhat more."""
    return 64 + 2 * len(item.key) + len(item.version) + len(memoryview(item.definition))


NO_NEWS = News()


class SessionStore:
    """The definitions of all sessions, and who has been told of them."""

    def __init__(
        self,
        max_definitions: int = MAX_DEFINITIONS,
        max_bytes: int = MAX_BYTES,
        ttl: float = SESSION_TTL,
    ) -> None:
        self._ttl = ttl
        self._sessions: dict[str, Session] = {}
        self._seen: set[Seen] = set()
        self._numbers = count(1)
        self._last = 0
        self._kept = Shelf(max_definitions, max_bytes)
        self._buried = Shelf(MAX_TOMBSTONES, max_bytes)

    def __len__(self) -> int:
        """How many definitions are kept."""
        return len(self._kept)

    def attach(self) -> Seen:
        """A new worker, which knows nothing yet."""
        seen = Seen()
        self._seen.add(seen)
        return seen

    def detach(self, seen: Seen) -> None:
        """A worker that is gone."""
        self._seen.discard(seen)

    def learn(self, name: str, seen: Seen, changes: Changes, now: float) -> None:
        """Take over what a worker's reply in session `name` has changed."""
        if changes.forget_all:
            for every in list(self._sessions):
                self._end(every)
        for key in changes.forget:
            self._bury(name, key)
        if changes.define is not None:
            self._define(name, changes.define, now)
            # It holds something of this session now, and must hear when that is forgotten.
            seen.numbers.setdefault(name, 0)

    def news(self, name: str, seen: Seen, now: float) -> News:
        """What the worker lacks for a call in session `name`; `told` says it was sent."""
        session = self._sessions.get(name)
        if session is None and not seen.ended:
            return NO_NEWS
        news = News(forget_sessions=sorted(seen.ended))
        if session is not None:
            session.used_at = now
            self._collect(session, seen.numbers.get(name), news)
        return news

    def told(self, name: str, seen: Seen) -> None:
        """The worker was sent the news of this moment for session `name`."""
        seen.ended.clear()
        if name in self._sessions:
            seen.numbers[name] = self._last

    def expire(self, now: float) -> None:
        """Forget the sessions that nobody has used for the time to live."""
        for name, session in list(self._sessions.items()):
            if session.used_at <= now - self._ttl:
                self._end(name)

    @staticmethod
    def _collect(session: Session, told: int | None, news: News) -> None:
        """Add the changes after number `told`; who holds nothing (None) need forget nothing."""
        for key, definition in session.since(told or 0):
            if definition is not None:
                news.define.append(definition)
            elif told is not None:
                news.forget.append(key)
        news.define.reverse()

    def _define(self, name: str, definition: Definition, now: float) -> None:
        session = self._sessions.setdefault(name, Session(now))
        session.used_at = now
        session.record(definition.key, self._next(), definition)
        place = (name, definition.key)
        self._buried.take(place)
        self._kept.put(place, len(name) + _encoded_size(definition))
        while (oldest := self._kept.surplus()) is not None:
            self._bury(*oldest)

    def _bury(self, name: str, key: str) -> None:
        """Leave a tombstone for a definition, so that workers which hold it hear of it."""
        self._kept.take((name, key))
        session = self._sessions.get(name)
        if session is None or not session.has(key):
            return
        session.record(key, self._next(), None)
        self._buried.put((name, key), len(name) + len(key))
        if (oldest := self._buried.surplus()) is not None:
            self._drop_tombstones(oldest[0])

    def _drop_tombstones(self, name: str) -> None:
        session = self._sessions[name]
        for key in session.drop_tombstones():
            self._buried.take((name, key))
        if not session.changes:
            del self._sessions[name]
        self._tell_afresh(name)

    def _end(self, name: str) -> None:
        session = self._sessions.pop(name)
        for key in session.changes:
            self._kept.take((name, key))
            self._buried.take((name, key))
        self._tell_afresh(name)

    def _tell_afresh(self, name: str) -> None:
        for seen in self._seen:
            seen.end(name)

    def _next(self) -> int:
        self._last = next(self._numbers)
        return self._last
