// An OpenID Connect provider for tests: the reference implementation of Node.js (npm oidc-provider), with
// people who sign in with any password. Its first argument is its port, the second where people come back
// to; it prints `ready` once it listens.
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

const [port, back, folder] = process.argv.slice(2);
const found = createRequire(`${folder}/`).resolve('oidc-provider');
const { default: Provider } = await import(pathToFileURL(found).href);

const people = {
  soumu: { email: 'soumu@example.co.jp', email_verified: true, groups: ['mail-approvers'] },
  boss: { email: 'boss@example.co.jp', email_verified: true, groups: ['mail-admins', 'others'] },
  taro: { email: 'taro.suzuki@example.co.jp', email_verified: true, groups: [] },
  unverified: { email: 'hanako.sato@example.co.jp', email_verified: false, groups: ['mail-admins'] },
  stranger: { email: 'someone@elsewhere.example', email_verified: true, groups: [] },
};

const issuer = `http://127.0.0.1:${port}`;
const provider = new Provider(issuer, {
  clients: [{
    client_id: 'sekisho',
    client_secret: 'a secret/with+signs',
    redirect_uris: [back],
    post_logout_redirect_uris: [back.replace('/login/oidc/return', '/login?out=1')],
  }],
  claims: { openid: ['sub', 'groups'], email: ['email', 'email_verified'], profile: [] },
  conformIdTokenClaims: false,
  cookies: { keys: ['for tests alone'] },
  features: { devInteractions: { enabled: true } },
  findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id, ...people[id] }) }),
});
provider.listen(Number(port), '127.0.0.1', () => console.log('ready'));
