"""Names of header fields, in lower case, that servers and applications behind the gateway may trust.

Names are compared folded: every character except letters and digits counts as a hyphen (see `fold`).
"""

from __future__ import annotations

import re

SEPARATOR = re.compile(rb"[^a-z0-9]")

# Set by a proxy in front, and forgeable by others: read from trusted proxies only, and never forwarded.
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
# Written by the gateway itself, besides the hop-by-hop fields. Only alternative spellings are looked up here.
FRAMING = frozenset((b"content-length",))
# Set by forward-auth proxies themselves, which replace what clients send.
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
# Set by none of our proxies, and trusted by some server or application: never forwarded.
FORGED = frozenset(
    (
        # Another path, method, host or scheme.
        b"forwarded",
        b"x-scheme",
        b"x-script-name",
        b"x-http-method-override",
        b"x-http-method",
        b"x-method-override",
        b"x-http-host-override",
        b"x-host",
        b"x-url-scheme",
        b"x-ssl",
        b"front-end-https",
        b"gateway-ticket",
        b"proxy",  # CGI turns it into the proxy to use (CVE-2016-5385)
        # Another address.
        b"x-real-ip",
        b"client-ip",
        b"x-client-ip",
        b"x-cluster-client-ip",
        b"true-client-ip",
        b"x-true-client-ip",
        b"x-originating-ip",
        b"x-azure-clientip",
        b"x-azure-socketip",
        b"fastly-client-ip",
        b"fly-client-ip",
        b"do-connecting-ip",
        b"incap-client-ip",
    )
)
# Identity headers of other products. `identity.names` may use them; those of clients are never forwarded.
ASSERTED = frozenset(
    (
        b"eppn",  # Shibboleth
        b"persistent-id",
        b"targeted-id",
        b"x-anonymous-consumer",  # Kong
        b"x-userinfo",
        b"x-apigateway-api-userinfo",  # Google API Gateway
        b"x-endpoint-api-userinfo",  # Google Cloud Endpoints
        b"x-auth-username",  # Keycloak Gatekeeper and its successors
        b"x-auth-userid",
        b"x-auth-subject",
        b"x-auth-email",
        b"x-auth-groups",
        b"x-auth-roles",
        b"x-jwt-assertion",  # WSO2
        b"x-rh-identity",  # Red Hat
        b"x-client-dn",  # client certificates, set by TLS proxies
        b"x-client-s-dn",
        b"x-client-verify",
    )
)
FORGED_PREFIXES = (
    b"remote-",
    b"x-remote-",
    b"x-auth-request-",
    b"x-forwarded-",
    b"x-original-",
    b"x-rewrite-",
    b"x-accel-",
    b"x-otium-",
    b"x-pomerium-",
    b"x-vouch-",
    b"x-authentik-",
    b"x-authenticated-",
    b"x-webauth-",
    b"x-sso-",
    b"proxy-",
    b"x-proxy-",
    b"sm-",  # SiteMinder
    b"oam-",  # Oracle Access Manager
    b"iv-",  # IBM Security Verify Access (WebSEAL)
    b"shib-",  # Shibboleth
    b"x-shib-",
    b"ajp-",
    b"mellon-",  # mod_auth_mellon
    b"oidc-",  # mod_auth_openidc
    b"impersonate-",  # Kubernetes
    b"x-consumer-",  # Kong
    b"x-credential-",
    b"x-goog-authenticated-user-",
    b"x-goog-iap-",
    b"x-appengine-",
    b"x-amzn-oidc-",
    b"x-amzn-mtls-",
    b"x-ms-client-principal",
    b"x-ms-token-",
    b"x-waws-",  # Azure App Service
    b"x-arr-",  # IIS Application Request Routing
    b"x-envoy-",
    b"x-replit-user-",
    b"cf-access-",
    b"cf-connecting-",
    b"tailscale-",
    b"teleport-",
    b"ngrok-auth-",
    b"client-cert",  # RFC 9440
    b"x-client-cert",
    b"ssl-",
    b"x-ssl-",
    b"x-tls-",
    b"wl-proxy-",  # WebLogic
    b"-ws",  # WebSphere: $WSRU is the user, $WSCC their certificate
)


def fold(name: bytes) -> bytes:
    """Return `name` as the most lenient server compares it: `Remote.User`, `remote~user`, `REMOTE_USER` are equal."""
    return SEPARATOR.sub(b"-", name.lower())
