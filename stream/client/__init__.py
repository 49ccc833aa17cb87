"""Subscribe to a running recognizer from your own program.

    from stream.client import subscribe

    for message in subscribe("er.v1.affect"):
        print(message.top, message.confidence)

It imports neither torch nor OpenCV nor sound, waits for a recognizer that is not there yet, and
finds one again that was started anew.
"""

from __future__ import annotations

from typing import Any, Literal, Unpack, overload

from stream.client.connection import Keys
from stream.client.control_client import CONTROL, Control, Refused
from stream.client.received import Affect, Face, Frame, Health, Info, Notify, Received, Text
from stream.client.subscription import AsyncSubscription, Options, Subscription
from stream.wire import ADDRESS

__all__ = [
    "ADDRESS",
    "CONTROL",
    "Affect",
    "AsyncSubscription",
    "Control",
    "Face",
    "Frame",
    "Health",
    "Info",
    "Keys",
    "Notify",
    "Options",
    "Received",
    "Refused",
    "Subscription",
    "Text",
    "subscribe",
    "subscribe_async",
]


@overload
def subscribe(
    topic: Literal["er.v1.affect"], /, **options: Unpack[Options]
) -> Subscription[Affect]: ...


@overload
def subscribe(
    topic: Literal["er.v1.face"], /, **options: Unpack[Options]
) -> Subscription[Face]: ...


@overload
def subscribe(
    topic: Literal["er.v1.frame"], /, **options: Unpack[Options]
) -> Subscription[Frame]: ...


@overload
def subscribe(
    topic: Literal["er.v1.health"], /, **options: Unpack[Options]
) -> Subscription[Health]: ...


@overload
def subscribe(
    topic: Literal["er.v1.info"], /, **options: Unpack[Options]
) -> Subscription[Info]: ...


@overload
def subscribe(
    topic: Literal["er.v1.notify"], /, **options: Unpack[Options]
) -> Subscription[Notify]: ...


@overload
def subscribe(
    topic: Literal["er.v1.text"], /, **options: Unpack[Options]
) -> Subscription[Text]: ...


@overload
def subscribe(*topics: str, **options: Unpack[Options]) -> Subscription[Received]: ...


def subscribe(*topics: str, **options: Unpack[Options]) -> Subscription[Any]:
    """Iterate over every message whose topic begins with one of `topics`; without any, over all.

    With one whole topic, such as "er.v1.affect", type checkers know what arrives. Raises UserError
    when the address, a topic or a key is not valid.
    """
    return Subscription(*topics, **options)


@overload
def subscribe_async(
    topic: Literal["er.v1.affect"], /, **options: Unpack[Options]
) -> AsyncSubscription[Affect]: ...


@overload
def subscribe_async(
    topic: Literal["er.v1.face"], /, **options: Unpack[Options]
) -> AsyncSubscription[Face]: ...


@overload
def subscribe_async(
    topic: Literal["er.v1.frame"], /, **options: Unpack[Options]
) -> AsyncSubscription[Frame]: ...


@overload
def subscribe_async(
    topic: Literal["er.v1.health"], /, **options: Unpack[Options]
) -> AsyncSubscription[Health]: ...


@overload
def subscribe_async(
    topic: Literal["er.v1.info"], /, **options: Unpack[Options]
) -> AsyncSubscription[Info]: ...


@overload
def subscribe_async(
    topic: Literal["er.v1.notify"], /, **options: Unpack[Options]
) -> AsyncSubscription[Notify]: ...


@overload
def subscribe_async(
    topic: Literal["er.v1.text"], /, **options: Unpack[Options]
) -> AsyncSubscription[Text]: ...


@overload
def subscribe_async(*topics: str, **options: Unpack[Options]) -> AsyncSubscription[Received]: ...


def subscribe_async(*topics: str, **options: Unpack[Options]) -> AsyncSubscription[Any]:
    """Subscribe for asyncio: `async for message in subscribe_async("er.v1.affect")`.

    The arguments and errors are those of `subscribe`.
    """
    return AsyncSubscription(*topics, **options)
