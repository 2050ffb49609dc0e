"""What a hit is, judged from its values alone: which device, a program, a repeat, somebody's own link. Pure rules.

Which of them are in force, and what the host asks besides, is in `judging`.

The list of crawlers is our own: two maintained packages were tried, `crawler-user-agents` 1.67 and `crawlerdetect` 0.4.
Both count every HTTP library as a crawler (curl, python-requests, aiohttp), with which developers try links, as well as Slack's
own browser, and `crawlerdetect` does not say which is which; `crawler-user-agents` takes 1.3 ms for an agent. Words
instead of names find what is not listed anywhere yet. The words and the names come from the data of
`crawler-user-agents` (MIT, github.com/monperrus/crawler-user-agents) and find three in four of the agents in it that are no
HTTP libraries; the rest are mostly checkers and scanners, which nobody sends a partner's link to.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime, timedelta

# Order decides: an Android tablet's agent lacks "Mobile", an iPad's may have it.
DEVICES: Final = (
    ("tablet", re.compile(r"ipad|tablet|kindle|silk/|playbook|android(?!.*mobile)", re.IGNORECASE)),
    ("mobile", re.compile(r"iphone|ipod|mobile|windows phone|opera mini", re.IGNORECASE)),
    ("desktop", re.compile(r"windows nt|macintosh|x11|cros ", re.IGNORECASE)),
)

CRAWLERS: Final = re.compile(
    # Words: "Googlebot/2.1", "AdsBot-Google", "Baiduspider", and the address that a well-behaved crawler gives.
    r"bots?(?![a-z])|crawl|spider|slurp|archiver|\+https?:"
    # What messengers and social networks send to draw a preview of a link.
    r"|preview|facebookexternalhit|facebookcatalog|facebot|meta-external|^whatsapp\b|^viber\b|^bluesky|mastodon/"
    r"|embedly|iframely|vkshare|^pinterest/|flipboardproxy|^friendica|^discourse|^notion/|steamchaturl|^tumblr/"
    # Search engines and assistants without such a word in their names.
    r"|mediapartners-google|google-|googleother|feedfetcher|coccoc|hatena|anthropic-ai|claude-user"
    r"|chatgpt-user|perplexity-user|cohere-ai|duckassist|chrome-lighthouse",
)
"""Agents of crawlers and link previews, in small letters."""
PHONES: Final = re.compile(r"cubot|; ?(?:m|b|id|power) ?bot\b|htc_botdugls")
"""Models of phones whose names look like a crawler's."""
LONGEST: Final = 2000
"""Characters of an agent that are looked at: servers let headers of 64 KiB through, and what tells comes early."""
PREFETCHES: Final = frozenset({"prefetch", "preview", "prerender"})
PURPOSES: Final = ("Sec-Purpose", "Purpose", "X-Purpose", "X-Moz")
EMBEDDED: Final = frozenset(
    {"image", "script", "style", "font", "audio", "video", "iframe", "frame", "embed", "object"}
)
"""`Sec-Fetch-Dest` of what a page loads as one of its parts (Fetch Metadata, 2.1)."""


class Follow(NamedTuple):
    """What a request says before anything is recorded: what a host's own rule is asked about."""

    link: str
    """The identifier of the link; for a partner's uid that of its home link, which is the same."""
    method: str
    """`GET`, or `HEAD` on the link's URL."""
    headers: Mapping[str, str]
    """The request's headers, by names in any case."""
    ip: str | None
    """The whole address of the client, whatever is kept of it; `None` or empty where it is not known."""
    now: datetime
    """When the link is followed."""

    @property
    def user_agent(self) -> str:
        """The header of this name, empty without one."""
        return self.headers.get("User-Agent", "")


def is_bot(user_agent: str, *, more: Iterable[re.Pattern[str]] = ()) -> bool:
    """Whether the agent is a crawler's or a link preview's; none at all is nobody's (L-33, L-34).

    Args:
        user_agent: the header of the request.
        more: the host's own patterns.
    """
    if not user_agent:
        return False
    user_agent = user_agent[:LONGEST]
    agent = PHONES.sub("", user_agent.lower())
    return CRAWLERS.search(agent) is not None or any(pattern.search(user_agent) for pattern in more)


def is_prefetch(headers: Mapping[str, str]) -> bool:
    """Whether a browser asks ahead of a click that may never come (L-32).

    The values are tokens, with others behind a semicolon: `prefetch;prerender`.
    """
    said = (token for name in PURPOSES for token in re.split("[;,]", headers.get(name, "")))
    return any(token.strip().lower() in PREFETCHES for token in said)


def is_embedded(destination: str) -> bool:
    """Whether a page loads the URL as one of its parts, where nobody has clicked (L-36)."""
    return destination.strip().lower() in EMBEDDED


def device(user_agent: str) -> str:
    """Return `desktop`, `mobile`, `tablet` or `other`, as far as the user agent says."""
    user_agent = user_agent[:LONGEST]
    return next((kind for kind, pattern in DEVICES if pattern.search(user_agent)), "other")


def is_repeat(last_follow: datetime | None, *, now: datetime, window: timedelta) -> bool:
    """Whether a follow comes within the window after the same visitor's last one of the same link (L-39).

    A last follow in the future is a clock that was set back, and counts as now.
    """
    return last_follow is not None and now - last_follow < window


def is_self_referral(user: object | None, *, owners: Iterable[object | None]) -> bool:
    """Whether the user (a primary key) is one of those whom the link belongs to (L-37, L-38)."""
    return user is not None and user in {owner for owner in owners if owner is not None}
