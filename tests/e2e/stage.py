"""The people and rooms of the scenario, and what the server itself says about them: the judge."""

from __future__ import annotations

from examples.lab import Event, Refused, User, register

Key = tuple[str, str]  # (type, state_key)


class Stage:
    """Alice, whose account is replicated, and three others. Rooms belong to bob unless said otherwise.

    `excused`: keys of a room that a classic client cannot know (the losing side of a fork).
    `unpruned`: keys whose redaction stood in a gap; their content is not compared until it is back-filled.
    """

    def __init__(self, base_url: str) -> None:
        self.base_url = base_url
        self.alice, self.bob, self.carol, self.dave = (
            register(base_url, name) for name in ("alice", "bob", "carol", "dave")
        )
        self.rooms: list[str] = []  # of the whole scenario
        self.chapter: list[str] = []  # of the chapter that is played now
        self.excused: set[tuple[str, Key]] = set()
        self.unpruned: set[tuple[str, Key]] = set()
        self.forked: set[str] = set()
        self.forgotten: set[str] = set()
        self.inside: set[str] = set()  # rooms that alice was joined to at some time
        self._declined: set[str] = set()
        self._seen: dict[str, dict[Key, Event]] = {}

    def room(self, *guests: User, version: str | None = None, **options: object) -> str:
        """Create a room of bob's, open to all by default, let `guests` join, and return its id."""
        options.setdefault("preset", "public_chat")
        room = self.bob.create_room(version, **options)
        self.rooms.append(room)
        self.chapter.append(room)
        for guest in guests:
            guest.join(room)
        if self.alice in guests:
            self.inside.add(room)
        return room

    def talk(self, room: str, count: int, who: User | None = None) -> list[str]:
        """Let bob, or another, send `count` messages; more than ten make the next sync limited."""
        return [(who or self.bob).send(room, f"message {n}") for n in range(count)]

    def membership(self, room: str) -> str:
        """Return alice's membership as bob sees it; "leave" if she never was there."""
        own = ("m.room.member", self.alice.user_id)
        event = _by_key(self.bob.state(room)).get(own)
        return "leave" if event is None else str(event["content"]["membership"])

    def state(self, room: str) -> dict[Key, Event] | None:
        """Return the room's state as alice's store should have it; None if she never was inside.

        That is the server's state as she may see it: after she left, as of her leaving. While she is banned
        the server refuses her and bob's view stands in, so nothing else may happen in that room meanwhile.
        """
        own, membership = ("m.room.member", self.alice.user_id), self.membership(room)
        if membership == "join":
            self.inside.add(room)
            self._declined.discard(room)
        if room not in self.inside:
            return None
        if room in self._declined:
            if membership in ("leave", "ban"):  # an invite belongs to the invite pile
                self._seen[room][own] = _by_key(self.bob.state(room))[own]
        else:
            self._look(room, membership)
        return self._seen[room]

    def decline(self, room: str) -> None:
        """Let alice reject an invite to a room that she was in before.

        Her view of the room moves on to this new leave, but a sync sends her nothing of what had changed.
        """
        self.alice.leave(room)
        self._declined.add(room)

    def _look(self, room: str, membership: str) -> None:
        try:
            self._seen[room] = _by_key(self.alice.state(room))
        except Refused:  # invited or knocking: what she saw last still holds
            if membership == "ban":
                self._seen[room] = _by_key(self.bob.state(room))

    def history(self, room: str) -> list[str]:
        """Return the ids of all events that alice can reach with /messages, oldest first."""
        found: list[str] = []
        position: dict[str, str] = {}
        while True:
            page = self.alice.messages(room, limit="100", **position)
            found += [event["event_id"] for event in page["chunk"]]
            if "end" not in page:
                return found[::-1]
            position = {"from": page["end"]}


def _by_key(events: list[Event]) -> dict[Key, Event]:
    # The old per-server aliases are in GET /state and in no section of a sync.
    return {(e["type"], e["state_key"]): e for e in events if e["type"] != "m.room.aliases"}
