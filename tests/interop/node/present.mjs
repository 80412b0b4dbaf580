// A wallet answers a question: @openid4vc/openid4vp reads and verifies the request and makes and sends the response.
import { randomBytes } from 'node:crypto'
import { Openid4vpClient } from '@openid4vc/openid4vp'
import * as jose from 'jose'
import { chosen, kept, presentation } from './answer.mjs'
import * as keys from './keys.mjs'

const shelf = []
const questions = new Map()
const ENCS = ['A256GCM', 'A128GCM']
const WALLET = {
  vp_formats_supported: { 'dc+sd-jwt': { 'sd-jwt_alg_values': ['ES256'] }, mso_mdoc: { issuerauth_alg_values: [-7] } },
  client_id_prefixes_supported: ['x509_hash', 'x509_san_dns'],
  request_object_signing_alg_values_supported: ['ES256'],
}

export async function hold({ credentials }) {
  shelf.length = 0
  for (const each of credentials) shelf.push(await kept(each))
  return { holds: shelf.map(({ seen }) => seen.vct ?? seen.doctype) }
}

// the packages post the members of their metadata one by one and never their nonce; OpenID4VP §5.10 wants two form
// members, `wallet_metadata` and `wallet_nonce`: the rest, comparing the nonce among it, is theirs. They take a JWE for a
// JWS when they look for its `kid`, so that they open no encrypted question (§5.10.1): it is opened before they see it
const posting = (metadata, nonce, decryptionKey) => async (url, init) => {
  if (init?.method !== 'post') return fetch(url, init)
  const body = new URLSearchParams({ wallet_metadata: JSON.stringify(metadata), wallet_nonce: nonce })
  const answer = await fetch(url, { ...init, method: 'POST', body })
  if (!decryptionKey || !answer.ok) return answer
  const { payload, header } = await keys.decrypt(await answer.text(), decryptionKey.privateJwk)
  decryptionKey.openedHeader = header
  return new Response(payload, { headers: { 'Content-Type': answer.headers.get('content-type') } })
}

// request: a link, or what a page gives to the browser (protocol, data) with its origin; anchors: who may ask
export async function open({ request, origin, anchors, encryptedQuestion, expectedNonce }) {
  const decryptionKey = encryptedQuestion && (await keys.newDecryptionKey('question'))
  const encrypted = decryptionKey && {
    jwks: { keys: [decryptionKey.publicJwk] },
    request_object_encryption_enc_values_supported: ENCS,
  }
  const nonce = randomBytes(16).toString('base64url')
  const fetch = posting({ ...WALLET, ...encrypted }, nonce, decryptionKey)
  const client = new Openid4vpClient({ callbacks: keys.callbacks({ anchors, fetch }) })
  const resolved = request.data?.request?.signatures
    ? await openedMultiSigned(request.data.request, anchors)
    : await opened(client, { request, origin, expectedNonce: expectedNonce ?? nonce })
  const id = randomBytes(8).toString('hex')
  questions.set(id, { resolved, client, origin, request })
  const { authorizationRequestPayload: asked, client: asker, jar } = resolved
  return {
    question: id,
    clientId: asker.effective,
    prefix: asker.prefix,
    cameBy: jar?.sendBy ?? 'parameters',
    openedHeader: decryptionKey?.openedHeader,
    mode: asked.response_mode,
  }
}

async function opened(client, { request, origin, expectedNonce }) {
  const { params } = client.parseOpenid4vpAuthorizationRequest({ authorizationRequest: request.data ?? request })
  const wallet = { metadata: WALLET, ...(params.request_uri_method === 'post' && { expectedNonce }) }
  return client.resolveOpenId4vpAuthorizationRequest({ authorizationRequestPayload: params, wallet, origin })
}

// the packages know no multi-signed questions (OpenID4VP §A.3.2.2): each signature is verified with jose
async function openedMultiSigned(jws, anchors) {
  for (const { protected: header, signature } of jws.signatures) {
    const { x5c } = jose.decodeProtectedHeader({ protected: header })
    const key = keys.leafOf(x5c, anchors).publicKey
    await jose.flattenedVerify({ payload: jws.payload, protected: header, signature }, key)
  }
  const authorizationRequestPayload = JSON.parse(Buffer.from(jws.payload, 'base64url').toString())
  const { dcql_query: query } = authorizationRequestPayload
  return { authorizationRequestPayload, client: {}, dcql: { query }, jar: { sendBy: 'value' } }
}

// bent: what is done otherwise than right, see answer.mjs; here: state, inClear, anotherKey
export async function present({ question: id, bent = {} }) {
  const { resolved, client, origin, request } = questions.get(id)
  const { authorizationRequestPayload: asked } = resolved
  const isEncrypted = asked.response_mode.endsWith('.jwt')
  const jwk = isEncrypted ? asked.client_metadata.jwks.keys[0] : undefined
  const vpToken = await presentations(resolved, { origin, jwk, bent })
  const encryption = { jwk: bent.anotherKey ? (await keys.newDecryptionKey(jwk.kid)).publicJwk : jwk }
  const serverMetadata = {
    authorization_encryption_alg_values_supported: ['ECDH-ES'],
    authorization_encryption_enc_values_supported: ENCS,
  }
  const made = await client.createOpenid4vpAuthorizationResponse({
    authorizationRequestPayload: {
      ...asked,
      state: bent.state ?? asked.state,
      ...(bent.inClear && { response_mode: 'direct_post' }),
    },
    authorizationResponsePayload: { vp_token: vpToken },
    jarm: isEncrypted && !bent.inClear ? { encryption, serverMetadata } : undefined,
    origin,
  })
  if (origin) {
    const data = made.jarm ? { response: made.jarm.responseJwt } : { vp_token: vpToken }
    return { protocol: request.protocol, data }
  }
  const sent = await client.submitOpenid4vpAuthorizationResponse({ authorizationRequestPayload: asked, ...made })
  return { status: sent.response.status, body: await sent.response.json() }
}

async function presentations(resolved, { origin, jwk, bent }) {
  const { authorizationRequestPayload: asked, client: asker, dcql, transactionData = [] } = resolved
  const session = {
    nonce: asked.nonce,
    audience: origin ? `origin:${origin}` : asker.effective,
    origin,
    responseUri: asked.response_uri,
    thumbprint: jwk && jose.base64url.decode(await jose.calculateJwkThumbprint(jwk)),
  }
  if (bent.holderKey === 'another') bent.holderKey = await keys.privateJwk((await keys.newSigner()).publicJwk)
  const vpToken = {}
  for (const [queryId, answer] of chosen(dcql.query, shelf)) {
    const confirmed = transactionData.filter((each) => each.transactionData.credential_ids.includes(queryId))
    const texts = confirmed.map((each) => each.encoded)
    vpToken[queryId] = [await presentation(answer, { ...session, transactionData: texts }, bent)]
  }
  return vpToken
}
