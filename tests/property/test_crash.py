"""One rich batch, cut at every single statement: the file is as before or as after, never between."""

from __future__ import annotations

import shutil
from copy import deepcopy
from pathlib import Path

from tests.account.answer import sync
from tests.account.events import ME, OTHERS
from tests.account.expect import Expected
from tests.account.readback import check_file, compare, differences, read
from tests.account.server import Account

from .crash import die_within
from .drive import FORMS, apply, open_store

ROOM, OTHER = "!room0:example.org", "!room1:example.org"
AT_MOST = 2000


def _busy(account: Account) -> None:
    """Something of everything: events, redactions, a kick with a new invite, ephemera, to-device messages."""
    for _ in range(4):
        account.send(ROOM)
    account.set_state(ROOM, "m.room.name")
    account.redact(ROOM, 6)
    account.move_other(ROOM, OTHERS[1], "join")
    account.receipt(ROOM, ME, None)
    account.type(ROOM, [OTHERS[1]])
    account.set_account_data("m.tag", ROOM)
    account.move(OTHER, "leave", by_me=False)
    account.move(OTHER, "invite")
    account.set_account_data("m.push_rules")
    account.send_to_device()


def test_a_batch_cut_at_any_statement_is_whole_or_absent(tmp_path: Path) -> None:
    account, before = Account(), Expected()
    for room_id in (account.create("10"), account.create("11")):
        account.move(room_id, "join")
        account.set_state(room_id, "m.room.name")
        account.send(room_id)
    first = sync(account, None)
    with open_store(tmp_path / "before.db") as store:
        apply(store, first, None, FORMS["classic"])
    before.apply(first, None)
    _busy(account)
    answer, held = sync(account, before.token, 3), before.token
    after = deepcopy(before)
    after.apply(answer, held)
    seen = set()
    for statements in range(AT_MOST):
        path = tmp_path / "cut.db"
        for name in ("cut.db", "cut.db-wal", "cut.db-shm"):
            (tmp_path / name).unlink(missing_ok=True)
        shutil.copy(tmp_path / "before.db", path)

        def work(path: Path = path) -> None:
            with open_store(path) as store:
                apply(store, answer, held, FORMS["classic"])

        died = die_within(statements, work)
        committed = differences(after.view(), read(path)) == []
        compare(path, (after if committed else before).view(), f"died after {statements} statements")
        check_file(path, after.gone() if committed else set())
        seen.add(committed)
        if not died:
            assert committed
            break
    assert seen == {True, False}
