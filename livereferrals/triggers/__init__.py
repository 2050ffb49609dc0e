"""Triggers: "this Django signal, from this sender, means that confirmation".

Imported by the host's settings file, so nothing here imports a model or needs settings.
"""
