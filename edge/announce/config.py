"""The keys of what a device announces by itself."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta


class AnnounceConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How this device tells of an alarm by itself, also without the cloud: a program, a webhook, or both."""

    relay: Annotated[
        tuple[str, ...],
        Meta(
            description="a program and its arguments, run without a shell for each change of an alarm, which it reads "
            "as JSON on its standard input"
        ),
    ] = ()
    relay_seconds: Annotated[float, Meta(gt=0, description="after which the program and its children are killed")] = (
        10.0
    )
    relay_retry_seconds: Annotated[
        float,
        Meta(
            ge=0,
            description="how long a change is tried again, after growing pauses, while the program fails; the others "
            "wait for it",
        ),
    ] = 60.0
    webhook: Annotated[
        str, Meta(description="an http or https URL that gets each change of an alarm as a CloudEvent (POST, JSON)")
    ] = ""
    webhook_secret: Annotated[
        str,
        Meta(
            description="file with the secret that signs what is posted, relative to this file; see the headers "
            "`webhook-id`, `webhook-timestamp` and `webhook-signature` of Standard Webhooks"
        ),
    ] = ""
    webhook_answer_seconds: Annotated[float, Meta(gt=0, description="for one answer")] = 10.0
    webhook_retry_seconds: Annotated[
        float,
        Meta(
            gt=0,
            description="how long one change is tried again before it is given up; a restart goes on with those that "
            "wait, and begins their time anew",
        ),
    ] = 259_200.0
    longest_queue: Annotated[
        int, Meta(ge=1, le=10_000, description="changes that wait for each way; the oldest is given up for a newer")
    ] = 256
