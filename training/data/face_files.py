"""Reads a file of labelled pictures of faces, whichever of the known ones it is."""

from __future__ import annotations

import zipfile
from pathlib import Path

import cv2
import numpy as np

from normtr.errors import UserError
from training.data import ferplus, rafdb
from training.data.face_pictures import BadPictures, FacePictures

TRAINING, VALIDATION = 0, 1


def load(path: Path, split: int) -> FacePictures:
    """Read one split of `rafdb.npz` or `ferplus.npz`, known by its arrays.

    Raises UserError when it is neither, cannot be read, or has no picture of the split.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            read = ferplus.read if "votes" in file else rafdb.read
            found = read(file, split)
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror or error}.") from None
    except BadPictures as error:
        raise UserError(f"{path} cannot be read: {error}.") from None
    except (ValueError, TypeError, KeyError, IndexError, EOFError, zipfile.BadZipFile, cv2.error):
        raise UserError(
            f"{path} cannot be read as pictures of faces: wanted is an .npz file with the arrays "
            "`jpeg`, `offset`, `label`, `split` and `name`, as for RAF-DB, or `faces_jpeg`, "
            "`votes`, `split`, `name`, `repeat` and `copy_of_training`, as for FERPlus."
        ) from None
    if not len(found.labels):
        raise UserError(f"{path} has no picture of split {split}.")
    return found
