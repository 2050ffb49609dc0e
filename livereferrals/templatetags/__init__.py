"""Template tags: `{% load livereferrals %}`."""
