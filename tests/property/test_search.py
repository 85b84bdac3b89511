"""Search against a model in plain dicts: whatever is said, edited, redacted, decrypted or dropped, and when."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from syncstore import SyncStore
from tests.store.bodies import ME, ROOM, Body, Json, create, message, redaction
from tests.store.conftest import plant
from tests.store.test_decryption import encrypted
from tests.store.test_relations import edit
from tests.store.test_search import PART

from .profile import effort

WORDS = ("alpha", "beta", "gamma", "delta")
TEXTS = st.lists(st.sampled_from(WORDS), min_size=1, max_size=3).map(" ".join)
NTH = st.integers(0, 30)
ACTIONS = st.one_of(
    st.tuples(st.just("say"), TEXTS),
    st.tuples(st.just("whisper"), TEXTS),
    st.tuples(st.just("edit"), NTH, TEXTS),
    st.tuples(st.just("decrypt"), NTH, TEXTS),
    st.tuples(st.just("redact"), NTH),
    st.tuples(st.just("redact an edit"), NTH),
    st.tuples(st.just("look")),
    # Each of them takes much away: not too often.
    st.one_of(st.tuples(st.just("prune"), st.integers(1, 4)), st.tuples(st.sampled_from(("forget", "compact")))),
)


class Conversation:
    """One room, in a store and in dicts: each message has `text`, `known` (if it was decrypted), `edits` (id, text)."""

    def __init__(self, store: SyncStore) -> None:
        self.store = store
        self.count = 0
        self.said: dict[str, Json] = {}
        self._take(message("$first", "nothing"))
        # What comes crosses the edge between two parts of the index.
        plant(store.path, f"UPDATE event SET id = {PART - 5} WHERE event_id = '$first'")

    def _take(self, *events: Json) -> None:
        self.count += 1
        # A message more than is looked for: what is newest is never pruned.
        stamped = [one | {"origin_server_ts": self.count} for one in events]
        state = [create()] if self.count == 1 else []
        self.store.apply(Body(f"s{self.count}").join(ROOM, *stamped, state=state, prev_batch=f"p{self.count}").done())

    def _target(self, nth: int) -> str | None:
        return list(self.said)[nth % len(self.said)] if self.said else None

    def act(self, what: str, *more: Any) -> None:
        """Let one action happen, in both."""
        if what in ("say", "whisper"):
            id = f"$m{self.count}"
            self._take(message(id, more[0]) if what == "say" else encrypted(id))
            self.said[id] = {"text": more[0], "known": what == "say", "edits": [], "secret": what == "whisper"}
        elif what == "look":
            self.agree()
        elif what == "compact":
            self.store.compact()
        elif what == "forget":
            self.store.forget(ROOM)
            self.count, self.said = 0, {}
            self.store.apply(Body("again").done())
            self._take(message("$first", "nothing"))
        elif what == "prune":
            self._prune(more[0])
        elif (target := self._target(more[0])) is not None:
            self._change(what, target, *more[1:])

    def _change(self, what: str, target: str, *more: Any) -> None:
        one = self.said[target]
        id = f"$x{self.count}"
        if what == "edit" and not one["secret"]:
            self._take(edit(id, target, more[0]))
            one["edits"].append((id, more[0]))
        elif what == "decrypt" and one["secret"]:
            one["text"], one["known"] = more[0], True
            self.store.attach_decrypted(ROOM, target, "m.room.message", {"body": one["text"]})
        elif what == "redact":
            self._take(redaction(id, target))
            del self.said[target]
        elif what == "redact an edit" and one["edits"]:
            self._take(redaction(id, one["edits"].pop()[0]))

    def _prune(self, keep: int) -> None:
        self.store.prune(ROOM, keep=keep)
        kept = {item.event_id for item in self.store.room(ROOM).timeline(1000).items if hasattr(item, "event_id")}
        self.said = {id: one for id, one in self.said.items() if id in kept}
        for one in self.said.values():
            one["edits"] = [edited for edited in one["edits"] if edited[0] in kept]

    def agree(self) -> None:
        """The index is sound, and each word finds what says it now, the newest first."""
        assert self.store.check() == []
        for word in WORDS:
            found = [one.event_id for one in self.store.search(word)]
            assert found == [id for id in reversed(self.said) if word in _now(self.said[id])]
        assert self.store.check() == []


def _now(one: Json) -> list[str]:
    if not one["known"]:
        return []
    text: str = one["edits"][-1][1] if one["edits"] else one["text"]
    return text.split()


@given(actions=st.lists(ACTIONS, min_size=10, max_size=40))
@effort(100)
def test_p38_search_finds_what_is_said_now(actions: list[tuple[Any, ...]]) -> None:
    with tempfile.TemporaryDirectory() as folder, SyncStore.open(Path(folder) / "said.db", user_id=ME) as store:
        conversation = Conversation(store)
        for action in actions:
            conversation.act(*action)
        conversation.agree()
