// A wallet made of other people's packages: collects what an offer holds and checks it. Reads its task from the first
// argument (JSON: offer, txCode, clientId, attestation, attestedKey, copies), writes what it got to standard output.
import { createHash, randomBytes, webcrypto } from 'node:crypto'
import { clientAuthenticationAnonymous, setGlobalConfig } from '@openid4vc/oauth2'
import { Openid4vciClient } from '@openid4vc/openid4vci'
import { SDJwtVcInstance } from '@sd-jwt/sd-jwt-vc'
import * as jose from 'jose'

setGlobalConfig({ allowInsecureUrls: true }) // the issuer under test is on this machine
const task = JSON.parse(process.argv[2])
const keys = new Map() // thumbprint → private key

async function newSigner() {
  const { publicKey, privateKey } = await jose.generateKeyPair('ES256', { extractable: true })
  const publicJwk = await jose.exportJWK(publicKey)
  keys.set(await jose.calculateJwkThumbprint(publicJwk), privateKey)
  return { method: 'jwk', publicJwk, alg: 'ES256' }
}

const callbacks = {
  hash: (data, alg) => createHash(alg.replace('-', '')).update(data).digest(),
  generateRandom: (length) => randomBytes(length),
  signJwt: async (signer, { header, payload }) => ({
    jwt: await new jose.SignJWT(payload)
      .setProtectedHeader(header)
      .sign(keys.get(await jose.calculateJwkThumbprint(signer.publicJwk))),
    signerJwk: signer.publicJwk,
  }),
  verifyJwt: async () => ({ verified: false }),
  encryptJwe: async () => { throw new Error('nothing is encrypted here') },
  decryptJwe: async () => { throw new Error('nothing is encrypted here') },
  clientAuthentication: clientAuthenticationAnonymous(),
}
if (task.attestation) {
  const privateKey = await jose.importJWK(task.attestedKey, 'ES256')
  // the packages' own proof of possession names no challenge, which a server that has a challenge endpoint demands
  // (draft-ietf-oauth-attestation-based-client-auth-07 §8): the packages do all the rest
  callbacks.clientAuthentication = async ({ headers, authorizationServerMetadata: server }) => {
    const { attestation_challenge: challenge } = await (await fetch(server.challenge_endpoint, { method: 'POST' })).json()
    const proof = await new jose.SignJWT({ iss: task.clientId, jti: randomBytes(16).toString('hex'), challenge })
      .setProtectedHeader({ typ: 'oauth-client-attestation-pop+jwt', alg: 'ES256' })
      .setAudience(server.issuer)
      .setIssuedAt()
      .sign(privateKey)
    headers.set('OAuth-Client-Attestation', task.attestation)
    headers.set('OAuth-Client-Attestation-PoP', proof)
  }
}

const client = new Openid4vciClient({ callbacks })
const offer = await client.resolveCredentialOffer(task.offer)
const issuerMetadata = await client.resolveIssuerMetadata(offer.credential_issuer)
const { accessTokenResponse, dpop } = await client.retrievePreAuthorizedCodeAccessTokenFromOffer({
  credentialOffer: offer,
  issuerMetadata,
  txCode: task.txCode,
  dpop: { signer: await newSigner() },
})

const collected = []
for (const credentialConfigurationId of offer.credential_configuration_ids) {
  const { c_nonce: nonce } = await client.requestNonce({ issuerMetadata })
  const holders = []
  const proofs = []
  for (let copy = 0; copy < task.copies; copy++) {
    const signer = await newSigner()
    const made = await client.createCredentialRequestJwtProof({
      issuerMetadata,
      credentialConfigurationId,
      clientId: task.clientId,
      signer,
      nonce,
    })
    holders.push(signer.publicJwk)
    proofs.push(made.jwt)
  }
  const answer = await client.retrieveCredentials({
    issuerMetadata,
    credentialConfigurationId,
    accessToken: accessTokenResponse.access_token,
    dpop,
    proofs: { jwt: proofs },
  })
  const { credentials, notification_id: notificationId } = answer.credentialResponse
  for (const [number, { credential }] of credentials.entries()) {
    collected.push({ credentialConfigurationId, ...(await checked(credentialConfigurationId, credential, holders[number])) })
  }
  await client.sendNotification({
    issuerMetadata,
    accessToken: accessTokenResponse.access_token,
    dpop,
    notification: { notificationId, event: 'credential_accepted' },
  })
}
process.stdout.write(JSON.stringify({ tokenType: accessTokenResponse.token_type, collected }))

async function checked(configurationId, credential, holder) {
  if (!configurationId.endsWith('-sd-jwt')) return { mdoc: credential, holder }
  const { x5c } = jose.decodeProtectedHeader(credential.split('~')[0])
  const issuerKey = await jose.importX509(`-----BEGIN CERTIFICATE-----\n${x5c[0]}\n-----END CERTIFICATE-----`, 'ES256')
  const reader = new SDJwtVcInstance({
    hasher: (data, alg) => createHash(alg.replace('-', '')).update(data).digest(),
    hashAlg: 'sha-256',
    verifier: (data, signature) =>
      webcrypto.subtle.verify(
        { name: 'ECDSA', hash: 'SHA-256' },
        issuerKey,
        Buffer.from(signature, 'base64url'),
        Buffer.from(data),
      ),
    statusListFetcher: async (uri) => (await fetch(uri, { headers: { accept: 'application/statuslist+jwt' } })).text(),
    statusVerifier: async () => true,
  })
  const { payload } = await reader.verify(credential)
  const { kty, crv, x, y } = payload.cnf.jwk
  const isBound = kty === holder.kty && crv === holder.crv && x === holder.x && y === holder.y
  return { claims: payload, isBound, x5c }
}
