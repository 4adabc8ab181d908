"""Provisioning by SCIM 2.0 (RFC 7643, 7644): a tenant's identity provider creates, changes and disables accounts."""
