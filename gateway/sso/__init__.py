"""Single sign-on: a tenant's own OpenID Connect provider signs its people in."""
