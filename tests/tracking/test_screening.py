from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest

from livereferrals.tracking import screening

NOW = datetime(2026, 1, 2, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    ("agent", "device"),
    [
        ("Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/126.0 Safari/537.36", "desktop"),
        ("Mozilla/5.0 (Macintosh; Intel Mac OS X 14_5) AppleWebKit/605.1.15 Version/17.5 Safari/605.1.15", "desktop"),
        ("Mozilla/5.0 (X11; Linux x86_64; rv:127.0) Gecko/20100101 Firefox/127.0", "desktop"),
        ("Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) AppleWebKit/537.36 Chrome/126.0", "desktop"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148", "mobile"),
        ("Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 Chrome/126.0 Mobile Safari/537.36", "mobile"),
        ("Mozilla/5.0 (Linux; Android 13; SM-X710) AppleWebKit/537.36 Chrome/126.0 Safari/537.36", "tablet"),
        ("Mozilla/5.0 (iPad; CPU OS 16_6 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148", "tablet"),
        ("curl/8.5.0", "other"),
        ("", "other"),
    ],
)
def test_device_is_what_the_agent_says(agent: str, device: str) -> None:
    """feed protocol, 5.4"""
    assert screening.device(agent) == device


@pytest.mark.parametrize(
    ("last", "repeat"),
    [(None, False), (NOW, True), (NOW - HOUR + timedelta(seconds=1), True), (NOW - HOUR, False), (NOW + HOUR, True)],
)
def test_repeat_is_inside_the_window(last: datetime | None, repeat: bool) -> None:
    """L-39"""
    assert screening.is_repeat(last, now=NOW, window=HOUR) is repeat


def test_self_referral_is_by_an_owner() -> None:
    """L-37, L-38"""
    assert screening.is_self_referral(1, owners=[None, 1])
    assert not screening.is_self_referral(2, owners=[None, 1])
    assert not screening.is_self_referral(None, owners=[None, None])


SAFARI = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148"
CHROME = (
    "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0 Mobile Safari/537.36"
)


@pytest.mark.parametrize(
    "agent",
    [
        "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
        f"{CHROME} (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
        "Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)",
        "Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)",
        "Twitterbot/1.0",
        "facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)",
        "meta-externalagent/1.1",
        "WhatsApp/2.24.12.78 A",
        "WhatsApp",
        "TelegramBot (like TwitterBot)",
        "Mozilla/5.0 (compatible; Discordbot/2.0; +https://discordapp.com)",
        "LinkedInBot/1.0 (compatible; Mozilla/5.0; Apache-HttpClient +http://www.linkedin.com)",
        "Mozilla/5.0 (Windows NT 6.1; WOW64) SkypeUriPreview Preview/0.5",
        "Mozilla/5.0 (Macintosh) AppleWebKit/605.1.15 Version/13.1.1 Safari/605.1.15 (Applebot/0.1)",
        "http.rb/5.1.1 (Mastodon/4.2.1; +https://mastodon.example/)",
        "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; GPTBot/1.1; +https://openai.com/gptbot)",
        "Mozilla/5.0 (compatible; Baiduspider/2.0; +http://www.baidu.com/search/spider.html)",
        "Mozilla/5.0 (compatible; Yahoo! Slurp)",
        "AdsBot-Google",
        "GOOGLEBOT/2.1",
        "some-tiny-crawler/0.1",
    ],
)
def test_crawlers_and_link_previews_are_bots(agent: str) -> None:
    """L-33: in any mix of cases"""
    assert screening.is_bot(agent)
    assert screening.is_bot(agent.lower())
    assert screening.is_bot(agent.upper())


@pytest.mark.parametrize(
    "agent",
    [
        "",
        SAFARI,
        CHROME,
        f"{SAFARI} [FBAN/FBIOS;FBAV/470.0.0.38.109;FBBV/609010063;FBDV/iPhone15,3;FBMD/iPhone;FBLC/de_DE]",
        f"{CHROME} [FB_IAB/FB4A;FBAV/470.0.0.50.79;]",
        f"{SAFARI} Instagram 336.0.0.0.23 (iPhone15,3; iOS 17_5_1; de_DE; scale=3.00; 1290x2796; 609010063)",
        f"{CHROME} Instagram 334.0.0.42.95 Android (33/13; 420dpi; Google/google; Pixel 7; panther; en_US)",
        f"{SAFARI} [Pinterest/iOS]",
        f"{SAFARI} Twitter for iPhone/10.46",
        f"{SAFARI} [LinkedInApp]/9.29.3",
        f"{SAFARI} GSA/323.0.647062479 Safari/604.1",
        f"{SAFARI} Snapchat/12.91.0.41 (like Safari/8617.2.4.10.8, panda)",
        f"{SAFARI} MicroMessenger/8.0.49(0x18003130) NetType/WIFI",
        f"{SAFARI} BingSapphire/28.7.420520001",
        f"{SAFARI} baiduboxapp/13.60 (Baidu; P2 16.0)",
        f"{SAFARI} DuckDuckGo/7",
        f"{CHROME} trill_350003 BytedanceWebview/d8a21c6 WhatsApp/2.24",
        "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/122.0 YaBrowser/24.4.0.0 Safari/537.36",
        "Mozilla/5.0 (Macintosh) AppleWebKit/537.36 Slack/4.39.90 Chrome/126 Electron/31.1 Slack_SSB/4.39.90",
        "Mozilla/5.0 (Linux; Android 11; CUBOT NOTE 20) AppleWebKit/537.36 Chrome/125.0 Mobile Safari/537.36",
        "Mozilla/5.0 (Linux; Android 9; M bot 60) AppleWebKit/537.36 Chrome/125.0 Mobile Safari/537.36",
        "curl/8.5.0",
        "Wget/1.21.4",
        "HTTPie/3.2.2",
        "PostmanRuntime/7.39",
        "python-requests/2.32.3",
        "python-httpx/0.27.0",
        "Python/3.11 aiohttp/3.14.5",
        "Python-urllib/3.11",
    ],
)
def test_people_in_apps_and_developers_tools_are_no_bots(agent: str) -> None:
    """L-34: nor is an agent that is missing, or one that merely names a crawler's company"""
    assert not screening.is_bot(agent)


def test_patterns_of_the_host_are_bots_too() -> None:
    """L-33, L-35: `BOT_PATTERNS`"""
    more = [re.compile("shop-?monitor", re.IGNORECASE)]
    assert screening.is_bot("ShopMonitor/1.0", more=more)
    assert not screening.is_bot("ShopMonitor/1.0")
    assert not screening.is_bot("", more=[re.compile("")])


@pytest.mark.parametrize(
    ("name", "value", "prefetch"),
    [
        ("Sec-Purpose", "prefetch", True),
        ("Sec-Purpose", "prefetch;prerender", True),
        ("Sec-Purpose", "Prefetch ; anonymous-client-ip", True),
        ("Purpose", "prefetch", True),
        ("X-Purpose", "preview", True),
        ("X-Moz", "prefetch", True),
        ("Purpose", "", False),
        ("Purpose", "navigate", False),
        ("X-Purpose", "prefetching", False),
        ("X-Other", "prefetch", False),
    ],
)
def test_prefetch_is_what_the_browsers_say(name: str, value: str, prefetch: bool) -> None:
    """L-32"""
    assert screening.is_prefetch({name: value}) is prefetch


@pytest.mark.parametrize(
    ("destination", "embedded"),
    [
        *((each, True) for each in ("image", "script", "style", "font", "audio", "video")),
        *((each, True) for each in ("iframe", "frame", "embed", "object", "IMAGE", " image ")),
        *((each, False) for each in ("", "document", "empty", "worker", "imagery")),
    ],
)
def test_part_of_another_page_is_what_the_browser_says(destination: str, embedded: bool) -> None:
    """L-36"""
    assert screening.is_embedded(destination) is embedded
