// A credential issuer made of other people's packages, as a target for our own wallet and checks: @openid4vc/openid4vci
// and @openid4vc/oauth2 judge and answer, @sd-jwt/sd-jwt-vc and @owf/mdoc sign. What they judge is not judged again:
// where they part from a standard, so does this issuer. Reads its task from the first argument (signer, documentSigner,
// metadataSigner, areAttested, providerAnchors, vct, claims, docType, nameSpaces), prints its address once it listens,
// ends when its input ends.
import { randomBytes } from 'node:crypto'
import http from 'node:http'
import {
  Oauth2ResourceServer,
  Oauth2ResourceUnauthorizedError,
  Oauth2ServerErrorResponseError,
  setGlobalConfig,
} from '@openid4vc/oauth2'
import { Openid4vciIssuer } from '@openid4vc/openid4vci'
import { AuthorizationServer, PRE_AUTHORIZED } from './authorization_server.mjs'
import { issueMdoc, issueSdJwt } from './issue.mjs'
import * as keys from './keys.mjs'

setGlobalConfig({ allowInsecureUrls: true }) // whom it meets is on this machine
const task = JSON.parse(process.argv[2])
const PAGE = `<!doctype html><html lang="en"><title>Your pass</title><form method="post">
<button name="decision" value="approve">Agree</button><button name="decision" value="deny">Refuse</button>
</form></html>`
const EVENTS = new Set(['credential_accepted', 'credential_failure', 'credential_deleted'])
const MOST_COPIES = 10
const nonces = new Set()
const notifications = new Set()
const callbacks = keys.callbacks({ anchors: task.providerAnchors })
const issuer = new Openid4vciIssuer({ callbacks })
const resources = new Oauth2ResourceServer({ callbacks })
const UNPRINTABLE = /[^\x20-\x7e]+/g
const refused = (error, description) => new Oauth2ServerErrorResponseError({ error, error_description: description })

const server = http.createServer(async (incoming, outgoing) => {
  const url = new URL(incoming.url, base)
  const chunks = []
  for await (const chunk of incoming) chunks.push(chunk)
  const request = { method: incoming.method, url: url.toString(), headers: new Headers(incoming.headers) }
  let answer
  try {
    const route = ROUTES[`${incoming.method} ${url.pathname}`]
    answer = route ? await route({ request, url, body: Buffer.concat(chunks).toString() }) : { status: 404 }
  } catch (error) {
    answer = failed(error)
  }
  const { status = 200, json, text, headers = {} } = answer
  const kind = json ? { 'Content-Type': 'application/json' } : {}
  outgoing.writeHead(status, { ...kind, ...headers }).end(json ? JSON.stringify(json) : text)
})
await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
const base = `http://127.0.0.1:${server.address().port}`
const url = `${base}/city`

const binding = (method, alg) => ({
  cryptographic_binding_methods_supported: [method],
  credential_signing_alg_values_supported: [alg],
  proof_types_supported: { jwt: { proof_signing_alg_values_supported: ['ES256'] } },
})
const display = [{ name: 'Pass', locale: 'en' }]
const described = (paths) => ({ display, claims: paths.map((path) => ({ path, display })) })
const spaces = Object.entries(task.nameSpaces)
const elements = spaces.flatMap(([space, inner]) => Object.keys(inner).map((name) => [space, name]))
const { providerAnchors, areAttested } = task
const scopes = ['pass-sd-jwt', 'pass-mdoc']
const authorization = new AuthorizationServer(url, { providerAnchors, areAttested, scopes })
const credentialIssuer = issuer.createCredentialIssuerMetadata({
  credential_issuer: url,
  credential_endpoint: `${url}/credential`,
  nonce_endpoint: `${url}/nonce`,
  notification_endpoint: `${url}/notification`,
  batch_credential_issuance: { batch_size: MOST_COPIES },
  display: [{ name: 'Elsewhere', locale: 'en' }],
  credential_configurations_supported: {
    'pass-sd-jwt': {
      format: 'dc+sd-jwt', scope: 'pass-sd-jwt', vct: task.vct, ...binding('jwk', 'ES256'),
      credential_metadata: described(Object.keys(task.claims).map((name) => [name])),
    },
    'pass-mdoc': {
      format: 'mso_mdoc', scope: 'pass-mdoc', doctype: task.docType, ...binding('cose_key', -7),
      credential_metadata: described(elements),
    },
  },
})
const issuerMetadata = {
  credentialIssuer,
  authorizationServers: [authorization.metadata],
  knownCredentialConfigurations: issuer.getKnownCredentialConfigurationsSupported(credentialIssuer),
}
const form = (body) => Object.fromEntries(new URLSearchParams(body))
const noStore = { 'Cache-Control': 'no-store' }

const ROUTES = {
  'GET /.well-known/openid-credential-issuer/city': published,
  'GET /.well-known/oauth-authorization-server/city': () => ({ json: authorization.metadata }),
  'GET /city/jwks': () => ({ json: authorization.jwks }),
  'POST /city/nonce': () => {
    const cNonce = randomBytes(24).toString('base64url')
    nonces.add(cNonce)
    return { json: issuer.createNonceResponse({ cNonce }), headers: noStore }
  },
  'POST /city/par': async ({ request, body }) => {
    return { status: 201, json: await authorization.push(request, form(body)), headers: noStore }
  },
  'GET /city/authorize': ({ url: asked }) => {
    authorization.pending(Object.fromEntries(asked.searchParams))
    return { text: PAGE, headers: { 'Content-Type': 'text/html' } }
  },
  'POST /city/authorize': ({ url: asked, body }) => {
    const location = authorization.decided(Object.fromEntries(asked.searchParams), form(body).decision)
    return { status: 303, headers: { Location: location } }
  },
  'POST /city/token': async ({ request, body }) => {
    return { json: await authorization.token(request, form(body)), headers: noStore }
  },
  'POST /city/credential': credential,
  'POST /city/notification': async ({ request, body }) => {
    await allowed(request)
    const { notification_id: id, event } = asJson(body)
    if (!notifications.has(id)) throw refused('invalid_notification_id', 'nobody was told this id')
    if (!EVENTS.has(event)) throw refused('invalid_notification_request', 'no such event')
    return { status: 204 }
  },
  'POST /offers': offers, // the way in for tests, of no standard
}

async function published({ request }) {
  if (!/application\/jwt/.test(request.headers.get('accept') ?? '')) return { json: credentialIssuer }
  const { jwk, x5c } = task.metadataSigner
  const signer = { method: 'x5c', alg: 'ES256', x5c, privateJwk: jwk }
  const signed = { credentialIssuerMetadata: credentialIssuer, signer, issuedAt: new Date() }
  const text = await issuer.createSignedCredentialIssuerMetadataJwt(signed)
  return { text, headers: { 'Content-Type': 'application/jwt' } }
}

async function offers({ body }) {
  const { configuration, grant, txCode: withTxCode } = JSON.parse(body)
  const { code, txCode } = authorization.preAuthorize({ withTxCode })
  const preAuthorized = {
    'pre-authorized_code': code,
    ...(txCode && { tx_code: { input_mode: 'numeric', length: txCode.length } }),
  }
  const { credentialOffer } = await issuer.createCredentialOffer({
    issuerMetadata,
    credentialConfigurationIds: configuration ? [configuration] : scopes,
    grants: grant === 'authorization_code' ? { authorization_code: {} } : { [PRE_AUTHORIZED]: preAuthorized },
  })
  return { json: { offer: credentialOffer, ...(txCode && { tx_code: txCode }) } }
}

const allowed = (request) =>
  resources.verifyResourceRequest({
    request,
    resourceServer: url,
    authorizationServers: [authorization.metadata],
    allowedAuthenticationSchemes: ['DPoP'],
  })

async function credential({ request, body }) {
  const { tokenPayload } = await allowed(request)
  const parsed = issuer.parseCredentialRequest({ issuerMetadata, credentialRequest: asJson(body) })
  const { credentialConfiguration: wanted, credentialRequest, proofs } = parsed
  if (parsed.credentialIdentifier) throw refused('unknown_credential_identifier', 'none was given out')
  if (!wanted) throw refused('unknown_credential_configuration', 'no such configuration')
  if (!tokenPayload.scope?.split(' ').includes(wanted.scope))
    throw refused('invalid_credential_request', 'the token is not for this')
  const jwts = proofs?.jwt ?? []
  if (!jwts.length || jwts.length > MOST_COPIES) throw refused('invalid_proof', 'one to ten proofs are needed')
  const used = new Set(jwts.map(nonceOf))
  const holders = []
  for (const jwt of jwts) {
    const nonce = nonceOf(jwt)
    if (nonce && !nonces.has(nonce)) throw refused('invalid_nonce', 'the nonce is not live')
    const expected = { expectedNonce: nonce ?? 'none', clientId: tokenPayload.client_id }
    const { signer } = await issuer.verifyCredentialRequestJwtProof({ issuerMetadata, jwt, ...expected })
    holders.push(signer.publicJwk)
  }
  for (const nonce of used) nonces.delete(nonce)
  const credentials = await Promise.all(holders.map(async (holder) => ({ credential: await made(wanted, holder) })))
  const notificationId = randomBytes(16).toString('base64url')
  notifications.add(notificationId)
  return { json: issuer.createCredentialResponse({ credentialRequest, credentials, notificationId }), headers: noStore }
}

function made({ format }, holder) {
  const { signer, documentSigner, vct, claims, docType, nameSpaces } = task
  return format === 'mso_mdoc'
    ? issueMdoc({ signer: documentSigner, docType, nameSpaces, holder })
    : issueSdJwt({ signer, vct, claims, disclosable: { _sd: Object.keys(claims) }, holder })
}

function asJson(body) {
  try {
    return JSON.parse(body)
  } catch {
    return undefined // which the packages refuse
  }
}

function nonceOf(jwt) {
  try {
    return JSON.parse(Buffer.from(jwt.split('.')[1], 'base64url').toString()).nonce
  } catch {
    return undefined
  }
}

function failed(error) {
  if (error instanceof Oauth2ServerErrorResponseError)
    return { status: error.status, json: error.errorResponse, headers: noStore }
  if (error instanceof Oauth2ResourceUnauthorizedError)
    // the packages write line breaks into it, which no header may hold
    return { status: 401, headers: { ...noStore, 'WWW-Authenticate': error.toHeaderValue().replace(UNPRINTABLE, ' ') } }
  process.stderr.write(`${error.stack}\n`)
  return { status: 500, json: { error: 'server_error' } }
}

await authorization.start()
process.stdout.write(`${JSON.stringify({ url, base })}\n`)
process.stdin.resume().on('end', () => process.exit(0))
