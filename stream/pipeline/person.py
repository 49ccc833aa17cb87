"""Decides which of several faces in view is recognised, and when that changes.

The faces of a picture are assigned to the people seen before, by place and by likeness of the
aligned crop. Only the live pipe has this memory; a row stays a pure function of its crop.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from normtr.face_detector import DetectedFace, Image
from stream.pipeline.pipe_config import Rule

Look = NDArray[np.float32]

LOOK_PX = 12
"""Likeness is the correlation of crops shrunk to this size: fine lines are expression, not
person."""
RECOGNISED = 0.7
"""A crop at least this like an earlier one shows the same person, wherever the face is."""
CONTINUED = 0.45
"""A crop at least this like shows the same person if the face is near its last place."""
NEAR, SPEED = 0.5, 2.0
"""A face moves at most `NEAR` face widths at once, plus `SPEED` face widths a second."""
LOST_NS = 1_000_000_000
"""After a longer absence the last place says nothing any more."""
COVERS = 1.0
"""A face nearer than this to another one, in face widths, covers a part of it."""
NEW_VIEW = 0.9
"""A crop that is less like all kept views of a person than this is kept as another view."""
VIEWS = 12
"""At most this many views of a person are kept."""
PATIENCE_NS = 3_000_000_000
"""`keep` waits this long for its person before it takes another one."""
FORGET_NS = 30_000_000_000
"""A bystander who was not seen for this long is forgotten."""
MOST = 6
"""Only this many faces of a picture, the largest ones, are looked at."""


@dataclass(frozen=True)
class Chosen:
    """`index` is the number of the person's face in a picture; None: they are not in view."""

    index: int | None
    changed: bool = False
    """Whether it is another person than before."""


@dataclass(eq=False)
class _Known:
    """Somebody who was seen, with their last place and some views."""

    face: DetectedFace
    since_ns: int
    seen_ns: int
    views: deque[Look]
    in_company: bool = False
    """Whether they were ever in one picture with somebody else."""

    def like(self, look: Look) -> float:
        """Return the best correlation of a look with their views."""
        return max(float(view @ look) for view in self.views)

    def fit(self, face: DetectedFace, look: Look, at_ns: int) -> float | None:
        """Return how well a face fits by likeness and nearness; None: it is somebody else."""
        like = self.like(look)
        away_ns = at_ns - self.seen_ns
        reach = NEAR + SPEED * away_ns / 1e9
        distance = _distance(self.face, face)
        near = max(0.0, 1.0 - distance / reach) if away_ns <= LOST_NS else 0.0
        same = like >= RECOGNISED or (near > 0.0 and like >= CONTINUED)
        return like + near if same else None

    def see(self, face: DetectedFace, look: Look, at_ns: int, apart: bool) -> None:
        """Note that they were seen.

        `apart` says that nobody else covers a part of this face, so that the view may be kept.
        """
        self.face, self.seen_ns = face, at_ns
        if apart and self.like(look) < NEW_VIEW:
            self.views.append(look)


class Person:
    """Follows everybody in view and chooses one of them. The face worker's thread owns it.

    `keep` stays with its person while they are in view, and waits for them a while. `largest` and
    `centre` choose anew in each picture.
    """

    def __init__(self, rule: Rule) -> None:
        self._rule = rule
        self._known: list[_Known] = []
        self._person: _Known | None = None

    def choose(
        self,
        at_ns: int,
        size: tuple[int, int],
        faces: Sequence[DetectedFace],
        crops: Sequence[Image],
    ) -> Chosen:
        """Choose the person's face among the faces of one picture.

        `size` is the height and width of the picture. `faces` are in it, the largest first, and
        `crops` are their aligned crops.
        """
        seen = self._assign(at_ns, faces, [_look(crop) for crop in crops])
        if self._rule == "keep" and self._waiting(at_ns, seen):
            return Chosen(0 if self._alone(seen) else None)
        index = self._index(size, faces, seen)
        if index is None or seen[index] is None:
            return Chosen(index)
        before, self._person = self._person, seen[index]
        return Chosen(index, before is not None and before is not self._person)

    def _waiting(self, at_ns: int, seen: Sequence[_Known | None]) -> bool:
        """Return whether the person is out of view, but not for long."""
        person = self._person
        return person is not None and person not in seen and at_ns - person.seen_ns < PATIENCE_NS

    def _alone(self, seen: Sequence[_Known | None]) -> bool:
        """Return whether the only face in view belongs to nobody who was seen beside others.

        Then there is nothing to choose: it may be the person, half covered or turned away.
        """
        return len(seen) == 1 and (seen[0] is None or not seen[0].in_company)

    def _index(
        self, size: tuple[int, int], faces: Sequence[DetectedFace], seen: Sequence[_Known | None]
    ) -> int | None:
        if self._rule == "keep":
            if self._person is not None and self._person in seen:
                return seen.index(self._person)
            return next((n for n, known in enumerate(seen) if known is not None), None)
        if not faces:
            return None
        return 0 if self._rule == "largest" else _middlemost(faces, size)

    def _assign(
        self, at_ns: int, faces: Sequence[DetectedFace], looks: Sequence[Look]
    ) -> Sequence[_Known | None]:
        """Return who each face is. The best fits come first. A face that fits nobody is somebody
        new, or None if it is half covered."""
        fits = [
            (fit, n, known)
            for n, (face, look) in enumerate(zip(faces, looks, strict=True))
            for known in self._known
            if (fit := known.fit(face, look, at_ns)) is not None
        ]
        who: dict[int, _Known] = {}
        for _, n, known in sorted(fits, key=lambda fit: -fit[0]):
            if n not in who and known not in who.values():
                who[n] = known
                known.see(faces[n], looks[n], at_ns, self._apart(faces[n], at_ns, known))
        for n, (face, look) in enumerate(zip(faces, looks, strict=True)):
            if n not in who and self._apart(face, at_ns):
                who[n] = _Known(face, at_ns, at_ns, deque([look], maxlen=VIEWS))
                self._known.append(who[n])
        self._reclaim(who, at_ns, faces, looks)
        for known in who.values():
            known.in_company |= len(faces) > 1
        self._known = [k for k in self._known if k is self._person or at_ns - k.seen_ns < FORGET_NS]
        return [who.get(n) for n in range(len(faces))]

    def _reclaim(
        self,
        who: dict[int, _Known],
        at_ns: int,
        faces: Sequence[DetectedFace],
        looks: Sequence[Look],
    ) -> None:
        """Give a face to the person if it turns out to be theirs.

        It may have appeared half covered while the person was away, and counted as somebody new.
        """
        person = self._person
        if person is None or person in who.values():
            return
        for n, known in who.items():
            if known.since_ns > person.seen_ns and person.like(looks[n]) >= RECOGNISED:
                person.see(faces[n], looks[n], at_ns, apart=False)
                self._known.remove(known)
                who[n] = person
                return

    def _apart(self, face: DetectedFace, at_ns: int, owner: _Known | None = None) -> bool:
        """Return whether nobody but its owner was just seen where this face is."""
        return all(
            _distance(known.face, face) > COVERS
            for known in self._known
            if known is not owner and at_ns - known.seen_ns <= LOST_NS
        )


def _look(crop: Image) -> Look:
    """Return a crop as float32 of mean 0 and length 1; products of such looks are correlations."""
    small = cv2.resize(crop, (LOOK_PX, LOOK_PX), interpolation=cv2.INTER_AREA)
    look = small.astype(np.float32).ravel()
    look -= look.mean()
    return look / (float(np.linalg.norm(look)) + 1e-6)


def _centre(face: DetectedFace) -> NDArray[np.float64]:
    left, top, right, bottom = face.box
    return np.array([(left + right) / 2, (top + bottom) / 2])


def _middlemost(faces: Sequence[DetectedFace], size: tuple[int, int]) -> int:
    middle = np.array([size[1], size[0]]) / 2
    return int(np.argmin([np.linalg.norm(_centre(face) - middle) for face in faces]))


def _distance(one: DetectedFace, other: DetectedFace) -> float:
    """Return how far two faces differ in place and size, in widths of the larger face."""
    a, b = np.sqrt(max(one.area, 1.0)), np.sqrt(max(other.area, 1.0))
    apart = float(np.linalg.norm(_centre(one) - _centre(other))) / max(a, b)
    return float(apart + abs(np.log2(a / b)))
