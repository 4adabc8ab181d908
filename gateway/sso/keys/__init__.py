"""Keys with which the gateway proves itself to a tenant's identity provider, in a client secret's place."""
