"""What people and scripts need to know of a running demo: addresses, the staff password, the feed's token."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from project import kept

if TYPE_CHECKING:
    from project.receiver import Receiver


def access(base_url: str, made: dict[str, Any], receiver: Receiver) -> dict[str, Any]:
    """Return what scripts need to use the demo: every address is absolute."""
    uid = made["partner"]["uid"]
    return {
        "base_url": base_url,
        "dashboard_url": f"{base_url}/referrals/",
        "admin_url": f"{base_url}/admin/",
        "staff": made["staff"],
        "shop": {
            "signup_url": f"{base_url}/signup/",
            "login_url": f"{base_url}/login/",
            "logout_url": f"{base_url}/logout/",
            "buy_url": f"{base_url}/buy/",
        },
        "partner": {
            **made["partner"],
            "link_url": f"{base_url}/ref/{uid}",
            "param_url": f"{base_url}/?affiliate_id={uid}",
        },
        "user_link": {
            "link_url": f"{base_url}/ref/{made['user_link']}",
            "param_url": f"{base_url}/?ref={made['user_link']}",
        },
        "feed": {
            "ws_url": f"{base_url.replace('http', 'ws', 1)}/referrals/feed/v1/ws",
            **{f"{name}_url": f"{base_url}/referrals/feed/v1/{name}" for name in ("sse", "poll", "ticket")},
            "token": made["token"],
        },
        "receiver": {"url": receiver.url, "log_url": receiver.log_url},
    }


def welcome(keys: dict[str, Any]) -> str:
    """Return the words for the person who started the demo."""
    return f"""
  Shop        {keys["base_url"]}/
  Dashboard   {keys["dashboard_url"]}
  Admin       {keys["admin_url"]}
              log in as {keys["staff"]["username"]} with the password {keys["staff"]["password"]}

  Follow a partner's link in another browser, sign up and buy, and watch the dashboard:
              {keys["partner"]["link_url"]}
  What the partner's server was told:
              {keys["receiver"]["log_url"]}
  All addresses and the feed's token are in {os.path.relpath(kept.ACCESS)}. Ctrl-C stops the demo; its data stay.
"""


def links(keys: dict[str, Any], made: dict[str, Any]) -> list[str]:
    """Return what simulated visitors follow: all links, in every form."""
    return [
        *(f"{keys['base_url']}/ref/{identifier}" for identifier in made["links"]),
        *keys["user_link"].values(),
        keys["partner"]["param_url"],
    ]
