// A verifier made of other people's packages, as a target for our own wallet and checks: @openid4vc/openid4vp asks and
// reads, @sd-jwt/sd-jwt-vc and @owf/mdoc verify, `dcql` compares with the question. Reads its task from the first
// argument (identity, issuerAnchors), prints its address once it listens, ends when its input ends.
import { createPublicKey, randomBytes, verify, X509Certificate } from 'node:crypto'
import http from 'node:http'
import { setGlobalConfig } from '@openid4vc/oauth2'
import { Openid4vpVerifier } from '@openid4vc/openid4vp'
import { DeviceResponse, SessionTranscript } from '@owf/mdoc'
import { SDJwtVcInstance } from '@sd-jwt/sd-jwt-vc'
import { DcqlPresentationResult, DcqlQuery } from 'dcql'
import * as jose from 'jose'
import * as keys from './keys.mjs'
import { context } from './mdoc_context.mjs'

setGlobalConfig({ allowInsecureUrls: true }) // whom it meets is on this machine
const task = JSON.parse(process.argv[2])
const { jwk, x5c } = task.identity
const clientId = `x509_hash:${keys.hash(Buffer.from(x5c[0], 'base64'), 'sha-256').toString('base64url')}`
const SELF_ISSUED = 'https://self-issued.me/v2'
const questions = new Map()
const fresh = () => randomBytes(24).toString('base64url')

// the private half of each question's own key opens what was encrypted to it
const verifier = new Openid4vpVerifier({
  callbacks: {
    ...keys.callbacks(),
    decryptJwe: async (jwe, { jwk: publicJwk }) => {
      const own = [...questions.values()].find(({ key }) => key?.publicJwk.kid === publicJwk?.kid)
      if (!own) return { decrypted: false }
      const { payload } = await keys.decrypt(jwe, own.key.privateJwk)
      return { decrypted: true, payload, decryptionJwk: publicJwk }
    },
  },
})

const server = http.createServer(async (incoming, outgoing) => {
  const chunks = []
  for await (const chunk of incoming) chunks.push(chunk)
  const [, room, id] = incoming.url.split('/')
  const body = Buffer.concat(chunks).toString()
  let answer
  try {
    const route = ROUTES[`${incoming.method} ${room}`]
    answer = route ? await route({ id, form: () => fields(body), body }) : { status: 404, json: {} }
  } catch (error) {
    const question = questions.get(id)
    if (question) question.outcome = { refused: error.message }
    answer = { status: 400, json: { error: 'invalid_request' } }
  }
  const kind = answer.json ? 'application/json' : 'application/oauth-authz-req+jwt'
  outgoing.writeHead(answer.status ?? 200, { 'Content-Type': kind, 'Cache-Control': 'no-store' })
  outgoing.end(answer.json ? JSON.stringify(answer.json) : answer.text)
})
await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
const base = `http://127.0.0.1:${server.address().port}`

function fields(body) {
  const members = [...new URLSearchParams(body)]
  if (new Set(members.map(([name]) => name)).size !== members.length) throw new Error('a field is there twice')
  return Object.fromEntries(members)
}

const ROUTES = {
  'POST questions': asked, // the ways in for tests, of no standard
  'GET results': ({ id }) => ({ json: questions.get(id)?.outcome ?? {} }),
  'GET request': ({ id }) => requestObject(id),
  'POST request': ({ id, form }) => requestObject(id, form().wallet_nonce),
  'POST response': answered,
}

async function asked({ body }) {
  const { query, mode, method } = JSON.parse(body)
  DcqlQuery.validate(DcqlQuery.parse(query))
  const id = fresh()
  const key = mode.endsWith('.jwt') ? await keys.newDecryptionKey(fresh()) : undefined
  const payload = {
    response_type: 'vp_token', response_mode: mode, response_uri: `${base}/response/${id}`, client_id: clientId,
    nonce: fresh(), state: fresh(), dcql_query: query,
    client_metadata: {
      vp_formats_supported: { 'dc+sd-jwt': { 'sd-jwt_alg_values': ['ES256'] }, mso_mdoc: {} },
      ...(key && {
        jwks: { keys: [key.publicJwk] },
        encrypted_response_enc_values_supported: ['A128GCM', 'A256GCM'],
      }),
    },
  }
  questions.set(id, { payload, key })
  const reference = { client_id: clientId, request_uri: `${base}/request/${id}`, request_uri_method: method ?? 'get' }
  return { json: { id, request: `openid4vp://?${new URLSearchParams(reference)}` } }
}

async function requestObject(id, walletNonce) {
  const { payload } = questions.get(id)
  const made = await verifier.createOpenId4vpAuthorizationRequest({
    authorizationRequestPayload: { ...payload, ...(walletNonce && { wallet_nonce: walletNonce }) },
    wallet: walletNonce && { expectedNonce: walletNonce },
    jar: {
      jwtSigner: { method: 'x5c', alg: 'ES256', x5c, privateJwk: jwk },
      requestUri: `${base}/request/${id}`,
      expiresInSeconds: 300,
      additionalJwtPayload: { aud: SELF_ISSUED },
    },
  })
  return { text: made.jar.authorizationRequestJwt }
}

async function answered({ id, form }) {
  const { payload, key, outcome } = questions.get(id)
  if (outcome) throw new Error('answered before')
  const read = await verifier.parseOpenid4vpAuthorizationResponse({
    authorizationResponse: form(), authorizationRequestPayload: payload, callbacks: verifier.options.callbacks,
  })
  const thumbprint = key && jose.base64url.decode(await jose.calculateJwkThumbprint(key.publicJwk))
  const seen = {}
  for (const [queryId, presentations] of Object.entries(read.dcql.presentations)) {
    seen[queryId] = []
    for (const shown of presentations)
      seen[queryId].push(await (shown.includes('~') ? sdJwt(shown, payload) : mdoc(shown, payload, thumbprint)))
  }
  const result = DcqlPresentationResult.fromDcqlPresentation(seen, { dcqlQuery: DcqlQuery.parse(payload.dcql_query) })
  if (!result.can_be_satisfied) throw new Error('the answer does not satisfy the question')
  questions.get(id).outcome = { accepted: seen }
  return { json: { redirect_uri: `${base}/done?response_code=${fresh()}` } }
}

const rawVerifier = (key) => (data, signature) =>
  verify('sha256', Buffer.from(data), { key, dsaEncoding: 'ieee-p1363' }, Buffer.from(signature, 'base64url'))

async function sdJwt(shown, { nonce, client_id: audience }) {
  const header = jose.decodeProtectedHeader(shown.split('~')[0])
  const leaf = keys.leafOf(header.x5c, task.issuerAnchors)
  const reader = new SDJwtVcInstance({
    hasher: keys.hash,
    hashAlg: 'sha-256',
    verifier: rawVerifier(leaf.publicKey),
    kbVerifier: (data, signature, { cnf }) =>
      rawVerifier(createPublicKey({ key: cnf.jwk, format: 'jwk' }))(data, signature),
    statusListFetcher: async (uri) => {
      const list = await (await fetch(uri, { headers: { accept: 'application/statuslist+jwt' } })).text()
      const signer = jose.decodeProtectedHeader(list)
      await jose.compactVerify(list, keys.leafOf(signer.x5c, task.issuerAnchors).publicKey)
      return list
    },
    statusVerifier: async () => true, // verified above, with the list's own certificate
  })
  const { payload, kb } = await reader.verify(shown, { keyBindingNonce: nonce })
  if (kb.payload.aud !== audience) throw new Error('key binding for somebody else')
  return { credential_format: 'dc+sd-jwt', vct: payload.vct, claims: payload, cryptographic_holder_binding: true }
}

async function mdoc(shown, { nonce, client_id, response_uri: responseUri }, thumbprint) {
  const handover = { clientId: client_id, nonce, jwkThumbprint: thumbprint, responseUri }
  const sessionTranscript = await SessionTranscript.forOid4Vp(handover, context)
  const response = DeviceResponse.fromEncodedForOid4Vp(shown)
  const trustedCertificates = task.issuerAnchors.map((pem) => new X509Certificate(pem).raw)
  await response.verify({ sessionTranscript, trustedCertificates }, context)
  const [document] = response.documents
  const namespaces = {}
  for (const [name] of document.issuerSigned.issuerNamespaces.issuerNamespaces)
    namespaces[name] = document.issuerSigned.getPrettyClaims(name)
  const { docType: doctype } = document
  return { credential_format: 'mso_mdoc', doctype, namespaces, cryptographic_holder_binding: true }
}

process.stdout.write(`${JSON.stringify({ base })}\n`)
process.stdin.resume().on('end', () => process.exit(0))
