// When oidc-provider shows a page, and what people are held to have agreed to.
import { interactionPolicy } from 'oidc-provider';

export const SCOPES = ['openid', 'profile', 'email', 'groups']; // no offline_access: no refresh tokens

// Sign-in is asked for as OpenID Connect says, and again for an `acr` that the session doesn't have. Consent is not.
export function policy() {
  const { base, Check, Prompt } = interactionPolicy;
  const all = base();
  all.get('consent').checks.splice(1);
  all.get('login').checks.add(new Check('acr', 'The session is not strong enough.', ({ oidc }) => {
    const wanted = acrsWanted(oidc.params);
    return wanted.length > 0 && !wanted.includes(oidc.acr) && !oidc.result?.login;
  }));
  all.add(new Prompt({ name: 'select_account', requestable: true }), 0);
  return all;
}

// Asked for with `acr_values`, or as Entra ID wants it, with `claims`.
export function acrsWanted({ acr_values: values, claims }) {
  const { value, values: several } = JSON.parse(claims ?? '{}').id_token?.acrs ?? {};
  return [...(values?.split(' ') ?? []), ...(value ? [value] : []), ...(several ?? [])];
}

export async function grantEverything({ oidc }) {
  const { clientId } = oidc.client;
  const { accountId } = oidc.session;
  const id = oidc.session.grantIdFor(clientId);
  const found = id && (await oidc.provider.Grant.find(id));
  if (found?.accountId === accountId) return found;
  const grant = new oidc.provider.Grant({ accountId, clientId });
  grant.addOIDCScope(SCOPES.join(' '));
  grant.addOIDCClaims(['acr', 'amr', 'auth_time', 'sid', 'email', 'email_verified', 'name']);
  await grant.save();
  return grant;
}
