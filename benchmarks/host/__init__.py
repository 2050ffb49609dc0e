"""The host project that is measured: `startproject` and the five edits of the README, with a partner and a link."""
