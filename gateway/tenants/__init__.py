"""Tenants, and which emails a tenant may have."""
