"""Tenant administration by the owner."""
