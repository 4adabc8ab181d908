"""OpenID Connect, without a store or pages: metadata, keys, ID tokens, and the requests to a provider."""
