"""`normtr keys` makes CURVE keys, with which other machines subscribe, and lists the clients."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from normtr.config import parse
from normtr.errors import UsageError
from stream.publish import curve_keys


@dataclass(frozen=True)
class KeysConfig:
    """Make the recognizer's keys if there are none, and keep the list of clients that it serves."""

    folder: Path = field(default_factory=curve_keys.usual_folder)
    """Where the keys are kept; `normtr live --curve-keys` takes the same folder."""
    allow: str | None = None
    """Serve one more client, under this name."""
    key: str | None = None
    """The client's public key, if it has a pair of its own; otherwise one is made for it."""
    out: Path | None = None
    """The file for the pair made for it, with mode 600; without it, NAME.key_secret here."""
    revoke: str | None = None
    """Serve this client no more."""


def run(argv: list[str]) -> int:
    config = parse(KeysConfig, _with_key(argv), "keys")
    if config.allow is None and (config.key, config.out) != (None, None):
        raise UsageError("--key and --out belong to --allow NAME.")
    if config.key is not None and config.out is not None:
        raise UsageError("with --key no pair is made; leave --out away.")
    if curve_keys.make_server(config.folder):
        print(f"New keys in {config.folder}; the secret one can be read only by you.")
    if config.revoke is not None:
        curve_keys.revoke(config.folder, config.revoke)
    if config.allow is not None and config.key is not None:
        curve_keys.allow(config.folder, config.allow, config.key)
    elif config.allow is not None:
        out = config.out or Path(f"{config.allow}.key_secret")
        curve_keys.allow_new(config.folder, config.allow, out)
        print(f"The client's pair is in {out}; bring it there over a safe way.")
    print(f"server's public key: {curve_keys.server_key(config.folder)}")
    for name, key in curve_keys.clients(config.folder).items():
        print(f"client {name}: {key}")
    return 0


def _with_key(argv: list[str]) -> list[str]:
    """Write `--key KEY` as one word: one key in 85 begins like an option."""
    for at, (word, following) in enumerate(pairwise(argv)):
        if word == "--key" and len(following) == curve_keys.LENGTH:
            return [*argv[:at], f"{word}={following}", *argv[at + 2 :]]
    return argv
