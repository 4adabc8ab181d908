"""Routes each request to our pages or the upstream; forward-auth, re-authorisation and saved forms."""
