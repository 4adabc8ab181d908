"""Names of header fields, in lower case, that somebody behind the gateway believes."""

from __future__ import annotations

# What a proxy in front may say, and anyone else may try to: read from trusted peers, forwarded from nobody.
HINTS = frozenset(
    (
        b"x-forwarded-for",
        b"x-request-id",
        b"x-original-method",
        b"x-original-uri",
        b"x-original-url",
        b"x-forwarded-method",
        b"x-forwarded-uri",
        b"x-forwarded-host",
    )
)
# What proxies that ask by forward-auth add by themselves, and forward in their own words: no claim of their clients.
SAID_BY_PROXIES = frozenset(
    (
        b"x-forwarded-proto",
        b"x-forwarded-port",
        b"x-forwarded-server",
        b"x-forwarded-scheme",
        b"x-real-ip",
        b"x-scheme",
        b"x-original-forwarded-for",
        b"x-auth-request-redirect",
        b"cf-connecting-ip",
        b"true-client-ip",
    )
)
# What no proxy of ours says, and some server or application believes: forwarded from nobody.
FORGED = frozenset(
    (
        b"forwarded",
        b"x-real-ip",
        b"x-scheme",
        b"x-script-name",
        b"x-rewrite-url",
        b"x-http-method-override",
        b"x-http-method",
        b"x-method-override",
        b"x-http-host-override",
        b"x-host",
        b"x-url-scheme",
        b"front-end-https",
        b"client-ip",
        b"x-client-ip",
        b"x-cluster-client-ip",
        b"true-client-ip",
        b"fastly-client-ip",
        b"cf-connecting-ip",
        b"proxy",
        b"gateway-ticket",
    )
)
FORGED_PREFIXES = (
    b"remote-",
    b"x-remote-",
    b"x-auth-request-",
    b"x-forwarded-",
    b"x-original-",
    b"x-accel-",
    b"x-otium-",
    b"x-pomerium-",
    b"x-vouch-",
    b"x-authentik-",
    b"x-authenticated-",
    b"x-webauth-",
    b"x-goog-authenticated-user-",
    b"x-goog-iap-",
    b"x-amzn-oidc-",
    b"x-ms-client-principal",
    b"cf-access-",
    b"tailscale-",
    b"ssl-client-",
    b"x-ssl-client-",
)
