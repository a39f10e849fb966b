"""Targets: what each op is called there, and how a network is written. No target knows another."""
