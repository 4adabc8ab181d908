"""Actions: a change, its audit rows and its mails in one transaction."""
