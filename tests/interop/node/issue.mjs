// Credentials that others make: @sd-jwt/sd-jwt-vc signs SD-JWT VCs, @owf/mdoc signs mdocs. signer: {jwk, x5c}.
import { createPrivateKey, randomBytes, sign } from 'node:crypto'
import { CoseKey, DeviceKey, Issuer, SignatureAlgorithm } from '@owf/mdoc'
import { SDJwtVcInstance } from '@sd-jwt/sd-jwt-vc'
import { hash, newSigner, privateJwk } from './keys.mjs'
import { context } from './mdoc_context.mjs'

const DAYS = 14
const hour = () => Math.floor(Date.now() / 3_600_000) * 3600 // so that times link no two credentials (OpenID4VCI §15.4)
const publicOf = ({ kty, crv, x, y }) => ({ kty, crv, x, y })

export async function issueSdJwt({ signer, vct, claims, disclosable, holder, status }) {
  const issuer = new SDJwtVcInstance({
    hasher: hash,
    hashAlg: 'sha-256',
    signAlg: 'ES256',
    saltGenerator: (length) => randomBytes(length).toString('base64url'),
    signer: (data) => {
      const key = createPrivateKey({ key: signer.jwk, format: 'jwk' })
      return sign('sha256', Buffer.from(data), { key, dsaEncoding: 'ieee-p1363' }).toString('base64url')
    },
  })
  const payload = { ...claims, vct, iat: hour(), exp: hour() + DAYS * 86_400, cnf: { jwk: publicOf(holder) } }
  if (status) payload.status = { status_list: status }
  return issuer.issue(payload, disclosable, { header: { x5c: signer.x5c } })
}

// the package draws digest ids of 32 bits; ISO/IEC 18013-5 §9.1.2.4 ends them at 2³¹ − 1. Its randomness comes from
// here, so that the first bit can be taken out, or put in to show what becomes of its own ids (withLargeIds)
const drawing = (withLargeIds) => ({
  ...context,
  crypto: {
    ...context.crypto,
    random: (length) => {
      const drawn = context.crypto.random(length)
      if (length === 4) drawn[0] = withLargeIds ? drawn[0] | 0x80 : drawn[0] & 0x7f
      return drawn
    },
  },
})

export async function issueMdoc({ signer, docType, nameSpaces, holder, withLargeIds = false }) {
  const issuer = new Issuer(docType, drawing(withLargeIds))
  for (const [name, elements] of Object.entries(nameSpaces)) issuer.addIssuerNamespace(name, elements)
  const signed = new Date(hour() * 1000)
  const issuerSigned = await issuer.sign({
    signingKey: CoseKey.fromJwk({ ...signer.jwk, alg: 'ES256' }),
    algorithm: SignatureAlgorithm.ES256,
    digestAlgorithm: 'SHA-256',
    validityInfo: { signed, validFrom: signed, validUntil: new Date(signed.getTime() + DAYS * 86_400_000) },
    deviceKeyInfo: { deviceKey: DeviceKey.fromJwk(publicOf(holder)) },
    certificates: signer.x5c.map((der) => Buffer.from(der, 'base64')),
  })
  return issuerSigned.encodedForOid4Vci
}

// a step of the wallet's process: an issuer elsewhere makes a credential in each format for a key of the wallet
export async function issue({ sdJwt, mdoc }) {
  const made = []
  for (const [make, task] of [[issueSdJwt, sdJwt], [issueMdoc, mdoc]]) {
    const { publicJwk } = await newSigner()
    made.push({ credential: await make({ ...task, holder: publicJwk }), holderKey: await privateJwk(publicJwk) })
  }
  return { made }
}
