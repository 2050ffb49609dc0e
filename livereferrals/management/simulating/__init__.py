"""Simulated visitors: people who follow links, look round, sign up and order, over HTTP and at a chosen rate.

    class ShopJourney(Journey):
        sign_up_page = "/accounts/signup/"

    manage.py livereferrals simulate --journey shop.simulation.ShopJourney

For hosts: `Journey`, what it is given (`Visit`), and what it raises where the site does not play along (`TurnedAway`).
"""

from __future__ import annotations

from livereferrals.management.simulating.browser import Page, TurnedAway
from livereferrals.management.simulating.crowds import Crowd, Likelihood
from livereferrals.management.simulating.journeys import Journey
from livereferrals.management.simulating.visits import Person, Visit

__all__ = ["Crowd", "Journey", "Likelihood", "Page", "Person", "TurnedAway", "Visit"]
