"""Who may see and who may change what: SQL conditions in which `:user` is the user's pk."""

# the conditions are put together of constants and whole numbers

# ruff: noqa: S608  # the conditions are put together of constants and whole numbers

from __future__ import annotations

from typing import TYPE_CHECKING

from gcapi_sandbox._database import records as r

if TYPE_CHECKING:
    from gcapi_sandbox._database.store import R, Record, Rows, Store

_TARGETS = "(SELECT target FROM Membership WHERE user = :user)"
_EDITED = "(SELECT target FROM Membership WHERE user = :user AND role = 'editors')"
_MINE = "creator = :user"

# A value's owner that the user may see, for a row `a` of Attachment.
_OWNER_IS_VISIBLE = f"""(
    EXISTS (SELECT 1 FROM ArchiveItem i WHERE i.pk = a.owner AND i.archive IN {_TARGETS})
    OR EXISTS (SELECT 1 FROM DisplaySet d WHERE d.pk = a.owner AND d.reader_study IN {_TARGETS})
    OR EXISTS (SELECT 1 FROM Job j WHERE j.pk = a.owner AND j.creator = :user)
)"""

_ANSWER_IS_VISIBLE = f"""(
    creator = :user
    OR question IN (SELECT pk FROM Question WHERE reader_study IN {_EDITED})
)"""

VISIBLE: dict[type[Record], str] = {
    r.Archive: f"pk IN {_TARGETS}",
    r.ArchiveItem: f"archive IN {_TARGETS}",
    r.ReaderStudy: f"pk IN {_TARGETS}",
    r.Question: f"reader_study IN {_TARGETS}",
    r.DisplaySet: f"reader_study IN {_TARGETS}",
    r.Answer: _ANSWER_IS_VISIBLE,
    r.Algorithm: f"pk IN {_TARGETS}",
    r.AlgorithmImage: f"algorithm IN {_EDITED}",
    r.Job: _MINE,
    r.Endpoint: _MINE,
    r.Upload: _MINE,
    r.UploadSession: _MINE,
    r.Session: _MINE,
    r.Feedback: _MINE,
    r.Notification: "user = :user",
    r.Follow: "user = :user",
    r.Socket: "1",
    r.Workstation: ":user > 0",
    r.WorkstationConfig: "1",
    r.Challenge: "1",
    r.Evaluation: f"creator = :user OR claimed_by = :user OR phase IN {_TARGETS}",
    r.Value: f"""EXISTS (
        SELECT 1 FROM Attachment a WHERE a.value = Value.pk AND {_OWNER_IS_VISIBLE}
    )""",
    r.Image: f"""EXISTS (
        SELECT 1 FROM Value v JOIN Attachment a ON a.value = v.pk
        WHERE v.image = Image.pk AND {_OWNER_IS_VISIBLE}
    ) OR EXISTS (
        SELECT 1 FROM Answer WHERE answer_image = Image.pk AND {_ANSWER_IS_VISIBLE}
    )""",
}


def visible(store: Store, table: type[R], user: int) -> Rows[R]:
    """Return the rows of a table that a user may see; nobody's pk is 0."""
    return store.rows(table, VISIBLE[table].replace(":user", str(int(user))))


def with_role(store: Store, table: type[R], user: int, *roles: str) -> Rows[R]:
    """Return the archives, studies or algorithms in which a user has one of the roles."""
    marks = ", ".join("?" * len(roles))
    where = f"pk IN (SELECT target FROM Membership WHERE user = ? AND role IN ({marks}))"
    return store.rows(table, where, user, *roles)


def has_role(store: Store, target: str, user: int, *roles: str) -> bool:
    """Tell whether a user has one of the roles in an object."""
    found = store.rows(r.Membership, "target = ? AND user = ?", target, user)
    return any(membership.role in roles for membership in found)
