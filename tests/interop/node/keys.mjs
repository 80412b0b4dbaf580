// Keys, certificates, and the cryptographic callbacks that the OpenWallet Foundation's packages ask their host for.
import { createHash, randomBytes, X509Certificate } from 'node:crypto'
import { clientAuthenticationAnonymous } from '@openid4vc/oauth2'
import * as jose from 'jose'

const CURVES = { 'P-256': 'ES256', 'P-384': 'ES384', 'P-521': 'ES512', Ed25519: 'EdDSA' }
const keyring = new Map() // thumbprint → private JWK

export const hash = (data, alg) => createHash(alg.replace('-', '')).update(data).digest()
export const privateJwk = async (publicJwk) => keyring.get(await jose.calculateJwkThumbprint(publicJwk))

export async function keep(jwk) {
  const { d, alg, ...publicJwk } = jwk
  keyring.set(await jose.calculateJwkThumbprint(publicJwk), jwk)
  return { method: 'jwk', publicJwk, alg: CURVES[jwk.crv] }
}

export async function newSigner() {
  const { privateKey } = await jose.generateKeyPair('ES256', { extractable: true })
  return keep(await jose.exportJWK(privateKey))
}

export async function signJws(jwk, header, payload) {
  return new jose.SignJWT(payload).setProtectedHeader(header).sign(await jose.importJWK(jwk, header.alg))
}

// the issuer's or asker's key, if its chain leads to a root that is believed; throws otherwise
export function leafOf(x5c, anchors) {
  const roots = anchors.map((pem) => new X509Certificate(pem))
  const chain = x5c.map((der) => new X509Certificate(typeof der === 'string' ? Buffer.from(der, 'base64') : der))
  const issues = (issuer, subject) => subject.checkIssued(issuer) && subject.verify(issuer.publicKey)
  for (const [number, certificate] of chain.entries()) {
    if (new Date(certificate.validTo) < new Date()) throw new Error('a certificate has ended')
    const next = chain[number + 1]
    if (next ? !issues(next, certificate) : !roots.some((root) => issues(root, certificate)))
      throw new Error('the chain leads to no root that is believed')
  }
  return chain[0]
}

export async function encrypt(plaintext, { jwk, enc, zip, apu, apv }) {
  const header = { alg: jwk.alg, enc, ...(jwk.kid && { kid: jwk.kid }), ...(zip && { zip }) }
  const jwe = new jose.CompactEncrypt(Buffer.from(plaintext)).setProtectedHeader(header)
  const party = (text) => text && jose.base64url.decode(text)
  if (apu || apv) jwe.setKeyManagementParameters({ apu: party(apu), apv: party(apv) })
  return jwe.encrypt(await jose.importJWK(jwk, jwk.alg))
}

export async function decrypt(jwe, jwk) {
  const { plaintext, protectedHeader } = await jose.compactDecrypt(jwe, await jose.importJWK(jwk, 'ECDH-ES'))
  return { payload: Buffer.from(plaintext).toString(), header: protectedHeader }
}

export async function newDecryptionKey(kid) {
  const { privateKey, publicKey } = await jose.generateKeyPair('ECDH-ES', { crv: 'P-256', extractable: true })
  const named = { kid, alg: 'ECDH-ES', use: 'enc' }
  return { privateJwk: await jose.exportJWK(privateKey), publicJwk: { ...(await jose.exportJWK(publicKey)), ...named } }
}

// anchors: PEM roots
export function callbacks({ anchors = [], clientAuthentication, fetch } = {}) {
  return {
    ...(fetch && { fetch }),
    hash,
    generateRandom: (length) => randomBytes(length),
    signJwt: async (signer, { header, payload }) => {
      const jwk = signer.method === 'x5c' ? signer.privateJwk : await privateJwk(signer.publicJwk)
      const { d, ...signerJwk } = jwk
      return { jwt: await signJws(jwk, header, payload), signerJwk: signer.publicJwk ?? signerJwk }
    },
    verifyJwt: async (signer, { compact }) => {
      const { method, x5c, publicJwk, alg } = signer
      const key = method === 'x5c' ? leafOf(x5c, anchors).publicKey : await jose.importJWK(publicJwk, alg)
      await jose.compactVerify(compact, key)
      return { verified: true, signerJwk: await jose.exportJWK(key) }
    },
    encryptJwe: async ({ publicJwk, alg, enc, apu, apv }, data) => ({
      jwe: await encrypt(data, { jwk: { ...publicJwk, alg }, enc, apu, apv }),
      encryptionJwk: publicJwk,
    }),
    decryptJwe: async () => ({ decrypted: false }), // see where it is opened instead
    getX509CertificateMetadata: (certificate) => {
      const names = new X509Certificate(Buffer.from(certificate, 'base64')).subjectAltName ?? ''
      const found = names.split(', ').map((name) => name.split(/:(.*)/s))
      const of = (kind) => found.filter(([each]) => each === kind).map(([, value]) => value)
      return { sanDnsNames: of('DNS'), sanUriNames: of('URI') }
    },
    clientAuthentication: clientAuthentication ?? clientAuthenticationAnonymous(),
  }
}
