"""Roles, and the rows that are visible to a user."""

# ruff: noqa: S608  # the conditions are built from constants and integers

from __future__ import annotations

from typing import TYPE_CHECKING

from gcapi_sandbox._database import records as r

if TYPE_CHECKING:
    from gcapi_sandbox._database.store import R, Record, Rows, Store

_TARGETS = "(SELECT target FROM Membership WHERE user = :user)"
_EDITED_TARGETS = "(SELECT target FROM Membership WHERE user = :user AND role = 'editors')"
_OWN = "creator = :user"

# Whether the owner of a value is visible, for a row `a` of Attachment.
_OWNER_IS_VISIBLE = f"""(
    EXISTS (SELECT 1 FROM ArchiveItem i WHERE i.pk = a.owner AND i.archive IN {_TARGETS})
    OR EXISTS (SELECT 1 FROM DisplaySet d WHERE d.pk = a.owner AND d.reader_study IN {_TARGETS})
    OR EXISTS (SELECT 1 FROM Job j WHERE j.pk = a.owner AND j.creator = :user)
)"""

_ANSWER_IS_VISIBLE = f"""(
    creator = :user
    OR question IN (SELECT pk FROM Question WHERE reader_study IN {_EDITED_TARGETS})
)"""

# Conditions in which `:user` is the pk of the user.
_VISIBLE: dict[type[Record], str] = {
    r.Archive: f"pk IN {_TARGETS}",
    r.ArchiveItem: f"archive IN {_TARGETS}",
    r.ReaderStudy: f"pk IN {_TARGETS}",
    r.Question: f"reader_study IN {_TARGETS}",
    r.DisplaySet: f"reader_study IN {_TARGETS}",
    r.Answer: _ANSWER_IS_VISIBLE,
    r.Algorithm: f"pk IN {_TARGETS}",
    r.AlgorithmImage: f"algorithm IN {_EDITED_TARGETS}",
    r.Job: _OWN,
    r.Endpoint: _OWN,
    r.Upload: _OWN,
    r.UploadSession: _OWN,
    r.Session: _OWN,
    r.Feedback: _OWN,
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
    ) OR EXISTS (
        SELECT 1 FROM UploadSession s WHERE s.pk = Image.origin AND s.status = 'Failed' AND s.{_OWN}
    )""",
}


def visible(store: Store, table: type[R], user: int) -> Rows[R]:
    """Return the rows of a table that are visible to a user; 0 is the anonymous user."""
    return store.rows(table, _VISIBLE[table].replace(":user", str(int(user))))


def rows_with_role(store: Store, table: type[R], user: int, *roles: str) -> Rows[R]:
    """Return the archives, reader studies or algorithms in which a user has one of the roles."""
    marks = ", ".join("?" * len(roles))
    where = f"pk IN (SELECT target FROM Membership WHERE user = ? AND role IN ({marks}))"
    return store.rows(table, where, user, *roles)


def has_role(store: Store, target: str, user: int, *roles: str) -> bool:
    """Return whether a user has one of the roles for an object."""
    found = store.rows(r.Membership, "target = ? AND user = ?", target, user)
    return any(membership.role in roles for membership in found)
