// A wallet collects: @openid4vc/openid4vci and @openid4vc/oauth2 drive each flow of OpenID4VCI, a step a call.
import { randomBytes } from 'node:crypto'
import { clientAuthenticationAnonymous, Oauth2Client } from '@openid4vc/oauth2'
import { createKeyAttestationJwt, Openid4vciClient } from '@openid4vc/openid4vci'
import { checked } from './check.mjs'
import * as keys from './keys.mjs'

const sessions = new Map()
const REDIRECT_URI = 'https://wallet.example/callback'

// the packages' own proof of possession names a `nonce`, which is called `challenge` since draft 06
// (draft-ietf-oauth-attestation-based-client-auth-07 §5.2, §8): the packages do all the rest
function attested({ clientId, attestation, instanceKey }) {
  return async ({ headers, authorizationServerMetadata: server }) => {
    const asked = await fetch(server.challenge_endpoint, { method: 'POST' })
    const { attestation_challenge: challenge } = await asked.json()
    const proof = await keys.signJws(
      instanceKey,
      { typ: 'oauth-client-attestation-pop+jwt', alg: 'ES256' },
      {
        iss: clientId,
        aud: server.issuer,
        jti: randomBytes(16).toString('hex'),
        iat: Math.floor(Date.now() / 1000),
        challenge,
      },
    )
    headers.set('OAuth-Client-Attestation', attestation)
    headers.set('OAuth-Client-Attestation-PoP', proof)
  }
}

// the packages know no encrypted requests (OpenID4VCI §10): JWE is put around theirs with jose, on its way. They refuse a
// `notification_id` beside deferred credentials, where it may stand (§9.2): it is taken out of the answer before
function onTheWay(session) {
  return async (url, init = {}) => {
    const { credentialIssuer } = session.issuerMetadata ?? {}
    const deferred = credentialIssuer?.deferred_credential_endpoint
    const isCovered = [credentialIssuer?.credential_endpoint, deferred].includes(String(url))
    const answer = await (isCovered && session.encryption ? sealed(session, url, init) : fetch(url, init))
    if (String(url) !== deferred || answer.status !== 200) return answer
    const { notification_id, ...rest } = await answer.json()
    session.notificationId = notification_id
    return Response.json(rest)
  }
}

async function sealed(session, url, init) {
  const { enc, zip } = session.encryption
  const own = await keys.newDecryptionKey('answer')
  const asked = { jwk: own.publicJwk, enc, ...(zip && { zip }) }
  const body = JSON.stringify({ ...JSON.parse(init.body), credential_response_encryption: asked })
  const [jwk] = session.issuerMetadata.credentialIssuer.credential_request_encryption.jwks.keys
  const headers = { ...init.headers, 'Content-Type': 'application/jwt' }
  const answer = await fetch(url, { ...init, headers, body: await keys.encrypt(body, { jwk, enc, zip }) })
  if (answer.headers.get('content-type') !== 'application/jwt') return answer
  const { payload, header } = await keys.decrypt(await answer.text(), own.privateJwk)
  session.openedHeaders.push(header)
  return Response.json(JSON.parse(payload), { status: answer.status })
}

export async function begin({ offer, anchors, accessAnchors, statusAnchors, client }) {
  const session = { anchors, statusAnchors, client, holders: new Map(), openedHeaders: [] }
  const clientAuthentication = client?.attestation ? attested(client) : clientAuthenticationAnonymous()
  session.callbacks = keys.callbacks({ anchors: accessAnchors, clientAuthentication, fetch: onTheWay(session) })
  session.vci = new Openid4vciClient({ callbacks: session.callbacks })
  session.offer = await session.vci.resolveCredentialOffer(offer)
  session.issuerMetadata = await session.vci.resolveIssuerMetadata(session.offer.credential_issuer)
  session.dpop = { signer: await keys.newSigner() }
  const id = randomBytes(8).toString('hex')
  sessions.set(id, session)
  return {
    session: id,
    offered: session.offer.credential_configuration_ids,
    metadataWereSigned: Boolean(session.issuerMetadata.signedCredentialIssuer),
    known: session.issuerMetadata.knownCredentialConfigurations ?? {},
  }
}

export async function authorize({ session: id, scope }) {
  const session = sessions.get(id)
  const { clientId } = session.client
  const { offer, issuerMetadata, dpop } = session
  const [authorizationServerMetadata] = issuerMetadata.authorizationServers
  session.state = randomBytes(16).toString('hex') // which the packages' shorter way from an offer would leave out
  const made = await new Oauth2Client({ callbacks: session.callbacks }).createAuthorizationRequestUrl({
    authorizationServerMetadata, clientId, redirectUri: REDIRECT_URI, scope, dpop, state: session.state,
    resource: issuerMetadata.credentialIssuer.credential_issuer,
    additionalRequestPayload: { issuer_state: offer.grants.authorization_code.issuer_state },
  })
  session.pkce = made.pkce
  session.dpop = made.dpop ?? dpop
  return { url: made.authorizationRequestUrl, challengeMethod: made.pkce.codeChallengeMethod }
}

export async function redeem({ session: id, txCode, redirectedTo, codeVerifier }) {
  const session = sessions.get(id)
  const { offer: credentialOffer, issuerMetadata, dpop, vci } = session
  let answer
  if (redirectedTo) {
    const [authorizationServerMetadata] = issuerMetadata.authorizationServers
    const came = { url: redirectedTo, authorizationServerMetadata }
    const answered = vci.parseAndVerifyAuthorizationResponseRedirectUrl(came)
    if (answered.state !== session.state) throw new Error('an answer to another request')
    if (answered.error) throw new Error(answered.error)
    answer = await vci.retrieveAuthorizationCodeAccessTokenFromOffer({
      credentialOffer, issuerMetadata, dpop, authorizationCode: answered.code, redirectUri: REDIRECT_URI,
      pkceCodeVerifier: codeVerifier ?? session.pkce.codeVerifier,
    })
  } else {
    answer = await vci.retrievePreAuthorizedCodeAccessTokenFromOffer({ credentialOffer, issuerMetadata, dpop, txCode })
  }
  return granted(session, answer)
}

export async function refresh({ session: id, withAnotherKey }) {
  const session = sessions.get(id)
  const [authorizationServerMetadata] = session.issuerMetadata.authorizationServers
  const answer = await new Oauth2Client({ callbacks: session.callbacks }).retrieveRefreshTokenAccessToken({
    authorizationServerMetadata,
    refreshToken: session.tokens.refresh_token,
    dpop: withAnotherKey ? { signer: await keys.newSigner() } : session.dpop,
  })
  return granted(session, { ...answer, refreshed: true })
}

function granted(session, { accessTokenResponse, dpop, refreshed }) {
  session.tokens = refreshed ? { ...session.tokens, ...accessTokenResponse } : accessTokenResponse
  session.dpop = dpop ?? session.dpop
  return { tokenType: accessTokenResponse.token_type, hasRefreshToken: Boolean(session.tokens.refresh_token) }
}

// attested: the keys are attested as `jwt` (in each proof), as `attestation` (instead of proofs), or as `packages` (in
// the proofs, by the packages' own maker of attestations); audience, nonce: other ones than the right ones
export async function ask({ session: id, configuration, copies = 1, ...wish }) {
  const { attestedAs, attester, encryption, audience } = wish
  const session = sessions.get(id)
  const { issuerMetadata, vci } = session
  session.encryption = encryption
  const nonce = wish.nonce ?? (await vci.requestNonce({ issuerMetadata })).c_nonce
  const holders = []
  for (let copy = 0; copy < copies; copy++) holders.push(await keys.newSigner())
  const attestation = attestedAs && (await attestKeys(session, { holders, nonce, attester, attestedAs }))
  const jwts = []
  if (attestedAs !== 'attestation') {
    const audienceMetadata = audience
      ? { ...issuerMetadata, credentialIssuer: { ...issuerMetadata.credentialIssuer, credential_issuer: audience } }
      : issuerMetadata
    for (const signer of holders) {
      const made = await vci.createCredentialRequestJwtProof({
        issuerMetadata: audienceMetadata,
        credentialConfigurationId: configuration,
        clientId: session.client?.clientId,
        keyAttestationJwt: attestation,
        signer,
        nonce,
      })
      jwts.push(made.jwt)
    }
  }
  const answer = await vci.retrieveCredentials({
    issuerMetadata,
    credentialConfigurationId: configuration,
    accessToken: session.tokens.access_token,
    dpop: session.dpop,
    proofs: attestedAs === 'attestation' ? { attestation: [attestation] } : { jwt: jwts },
  })
  session.holders.set(configuration, holders.map((holder) => holder.publicJwk))
  return received(session, configuration, answer, answer.credentialResponse)
}

async function attestKeys(session, { holders, nonce, attester, attestedAs }) {
  const now = Math.floor(Date.now() / 1000)
  const attestedKeys = holders.map((holder) => holder.publicJwk)
  const level = ['iso_18045_high']
  if (attestedAs === 'packages') {
    return createKeyAttestationJwt({
      callbacks: session.callbacks,
      signer: { method: 'x5c', alg: 'ES256', x5c: attester.x5c, privateJwk: attester.jwk },
      use: 'proof_type.jwt', issuedAt: new Date(), expiresAt: new Date(Date.now() + 300_000), nonce, attestedKeys,
      keyStorage: level, userAuthentication: level,
    })
  }
  return keys.signJws(
    attester.jwk,
    { typ: 'key-attestation+jwt', alg: 'ES256', x5c: attester.x5c },
    { iat: now, exp: now + 300, nonce, attested_keys: attestedKeys, key_storage: level, user_authentication: level },
  )
}

export async function comeBack({ session: id, configuration, encryption }) {
  const session = sessions.get(id)
  session.encryption = encryption
  const answer = await session.vci.retrieveDeferredCredentials({
    issuerMetadata: session.issuerMetadata,
    accessToken: session.tokens.access_token,
    transactionId: session.transactionId,
    dpop: session.dpop,
  })
  return received(session, configuration, answer, answer.deferredCredentialResponse)
}

async function received(session, configuration, answer, body) {
  session.notificationId = body.notification_id ?? session.notificationId
  session.transactionId = body.transaction_id ?? session.transactionId
  const openedHeaders = session.openedHeaders.splice(0)
  const got = { status: answer.response.status, interval: body.interval, openedHeaders }
  if (!body.credentials) return got
  const { anchors, statusAnchors } = session
  const collected = []
  for (const [number, { credential }] of body.credentials.entries()) {
    const holder = session.holders.get(configuration)[number]
    const check = await checked(credential, { holder, anchors, statusAnchors })
    collected.push({ ...check, credential, holderKey: await keys.privateJwk(holder) })
  }
  return { ...got, collected }
}

export async function notify({ session: id, event, withoutDpop }) {
  const session = sessions.get(id)
  const answer = await session.vci.sendNotification({
    issuerMetadata: session.issuerMetadata,
    accessToken: session.tokens.access_token,
    dpop: withoutDpop ? undefined : session.dpop,
    notification: { notificationId: session.notificationId, event },
  })
  return { status: answer.response.status }
}
