// What Microsoft Entra ID does in its own way (version 2.0 endpoints), as its documentation and real answers have it.
//
// A tenant's issuer is /{tid}/v2.0, and all tenants of a cloud sign with the same keys: whoever checks only the signature
// takes any tenant's people. Not imitated: certificates in the keys (x5c), and Microsoft Graph.
import * as crypto from 'node:crypto';

export const ROUTES = {
  authorization: '/oauth2/v2.0/authorize',
  token: '/oauth2/v2.0/token',
  jwks: '/discovery/v2.0/keys',
  userinfo: '/oidc/userinfo',
  end_session: '/oauth2/v2.0/logout',
};
export const DISCOVERY = '/v2.0/.well-known/openid-configuration';
const MOST_GROUPS = 200;

// `tenant` is a tid, or "common" or "organizations", whose issuer is no URL but a pattern.
export function discovery(base, tenant) {
  const at = `${base}/${tenant}`;
  const isShared = ['common', 'organizations'].includes(tenant);
  return {
    token_endpoint: `${at}${ROUTES.token}`,
    token_endpoint_auth_methods_supported: ['client_secret_post', 'private_key_jwt', 'client_secret_basic'],
    jwks_uri: `${at}${ROUTES.jwks}`,
    response_modes_supported: ['query', 'fragment', 'form_post'],
    subject_types_supported: ['pairwise'],
    id_token_signing_alg_values_supported: ['RS256'],
    response_types_supported: ['code', 'id_token', 'code id_token', 'id_token token'],
    scopes_supported: ['openid', 'profile', 'email', 'offline_access'],
    issuer: isShared ? `${base}/{tenantid}/v2.0` : `${at}/v2.0`,
    request_uri_parameter_supported: false,
    userinfo_endpoint: `${at}${ROUTES.userinfo}`,
    authorization_endpoint: `${at}${ROUTES.authorization}`,
    device_authorization_endpoint: `${at}/oauth2/v2.0/devicecode`,
    http_logout_supported: true,
    frontchannel_logout_supported: true,
    end_session_endpoint: `${at}${ROUTES.end_session}`,
    claims_supported: [
      'sub', 'iss', 'cloud_instance_name', 'cloud_instance_host_name', 'cloud_graph_host_name', 'msgraph_host', 'aud',
      'exp', 'iat', 'auth_time', 'acr', 'nonce', 'preferred_username', 'name', 'tid', 'ver', 'at_hash', 'c_hash', 'email',
    ],
    kerberos_endpoint: `${at}/kerberos`,
    tenant_region_scope: isShared ? null : 'EU',
    cloud_instance_name: 'microsoftonline.com',
    cloud_graph_host_name: 'graph.windows.net',
    msgraph_host: 'graph.microsoft.com',
    rbac_url: 'https://pas.windows.net',
  };
}

// The public keys name no algorithm, but an issuer each.
export function jwks(keys, issuer) {
  const shown = keys.map(({ jwk: { kty, kid, n, e } }) => ({ kty, use: 'sig', kid, x5t: kid, n, e, issuer }));
  return { keys: shown };
}

// Return the claims of an ID token in place of those that oidc-provider would send. No `amr`, no `acr`, no `at_hash`, no
// `email_verified`; `auth_time`, `sid`, `acct`, `email` and others only if the application has them as optional claims.
export function idToken({ iss, sub, aud, exp, iat, nonce }, user, { tid, optional, scopes, authTime, sid, acrs }) {
  const isGuest = Boolean(user.home_tenant) && user.home_tenant !== tid;
  const wantsEmail = scopes.has('email') || optional.includes('email') || isGuest;
  const wanted = {
    acct: isGuest ? 1 : 0,
    auth_time: authTime,
    login_hint: Buffer.from(`O.${user.id}`).toString('base64'),
    sid,
    upn: isGuest ? `${user.email.replace('@', '_')}#EXT#@${tid}.example` : user.email,
  };
  return {
    ver: '2.0',
    iss,
    sub,
    aud,
    exp,
    iat,
    nbf: iat,
    ...(scopes.has('profile') && { name: user.name, preferred_username: user.email, oid: user.id }),
    tid,
    nonce,
    ...(wantsEmail && user.email && { email: user.email }),
    ...(isGuest && { idp: `https://sts.windows.net/${user.home_tenant}/` }),
    ...(user.roles?.length && { roles: user.roles }),
    ...groups(user, tid),
    ...Object.fromEntries(Object.entries(wanted).filter(([name]) => optional.includes(name))),
    ...(acrs.length && { acrs }),
    aio: crypto.randomBytes(24).toString('base64url'),
    rh: '1.AAAA',
    uti: crypto.randomBytes(16).toString('base64url'),
    ...user.claims,
  };
}

// More than 200 groups are not sent; the token then says where to ask for them.
function groups(user, tid) {
  if (!user.groups?.length) return {};
  if (user.groups.length <= MOST_GROUPS) return { groups: user.groups };
  const endpoint = `https://graph.windows.net/${tid}/users/${user.id}/getMemberObjects`;
  return { _claim_names: { groups: 'src1' }, _claim_sources: { src1: { endpoint } } };
}

const ERRORS = {
  access_denied: [65004, 'User declined to consent to access the app.'],
  invalid_client: [7000215, 'Invalid client secret provided.'],
  invalid_grant: [70008, 'The provided authorization code or refresh token has expired due to inactivity.'],
  interaction_required: [50076, 'The user must use multi-factor authentication.'],
  login_required: [50058, 'A silent sign-in request was sent but no user is signed in.'],
};

export function errorText(error, text) {
  const [number, words] = ERRORS[error] ?? [900144, text];
  return { number, text: `AADSTS${number}: ${words}` };
}

// The body of a refusal at the token endpoint.
export function refusal({ error, error_description: description }) {
  const { number, text } = errorText(error, description);
  const [trace, correlation] = [crypto.randomUUID(), crypto.randomUUID()];
  const timestamp = new Date().toISOString().replace('T', ' ').replace(/\.\d+Z/, 'Z');
  return {
    error,
    error_description: `${text} Trace ID: ${trace} Correlation ID: ${correlation} Timestamp: ${timestamp}`,
    error_codes: [number],
    timestamp,
    trace_id: trace,
    correlation_id: correlation,
    error_uri: `https://login.microsoftonline.com/error?code=${number}`,
  };
}

// Pairwise by application, and the same in all of its sign-ins.
export function subject(tid, client, user) {
  return crypto.createHash('sha256').update(`${tid} ${client} ${user}`).digest('base64url');
}

// A session's id as Entra ID writes it: a GUID.
export function guid(text) {
  const hex = crypto.createHash('sha256').update(text).digest('hex');
  return [[0, 8], [8, 12], [12, 16], [16, 20], [20, 32]].map(([from, to]) => hex.slice(from, to)).join('-');
}
