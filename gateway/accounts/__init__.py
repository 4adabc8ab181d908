"""Accounts: invitations, changes by administrators and by their owners, CSV import, app sync."""
