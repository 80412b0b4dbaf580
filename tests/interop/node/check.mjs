// A wallet looks at what it was given: @sd-jwt/sd-jwt-vc reads SD-JWT VCs with their status, @owf/mdoc reads mdocs.
import { verify, X509Certificate } from 'node:crypto'
import { Holder, IssuerSigned } from '@owf/mdoc'
import { SDJwtVcInstance } from '@sd-jwt/sd-jwt-vc'
import * as jose from 'jose'
import { hash, leafOf } from './keys.mjs'
import { context } from './mdoc_context.mjs'

const DIGESTS = { prime256v1: 'sha256', secp384r1: 'sha384', secp521r1: 'sha512' }
const der = (pem) => new X509Certificate(pem).raw
const sameKey = (one, other) => ['kty', 'crv', 'x', 'y'].every((name) => one[name] === other[name])

function verifierBy(leaf) {
  const options = { key: leaf.publicKey, dsaEncoding: 'ieee-p1363' }
  const digest = DIGESTS[leaf.publicKey.asymmetricKeyDetails.namedCurve]
  return (data, signature) => verify(digest, Buffer.from(data), options, Buffer.from(signature, 'base64url'))
}

// anchors, statusAnchors: PEM roots of the issuer; holder: the public key that the credential must be bound to
export async function checked(credential, { holder, anchors, statusAnchors }) {
  return credential.includes('~')
    ? checkedSdJwt(credential, { holder, anchors, statusAnchors })
    : checkedMdoc(credential, { holder, anchors })
}

async function checkedSdJwt(credential, { holder, anchors, statusAnchors }) {
  const { x5c } = jose.decodeProtectedHeader(credential.split('~')[0])
  const statuses = []
  const reader = new SDJwtVcInstance({
    hasher: hash,
    hashAlg: 'sha-256',
    verifier: verifierBy(leafOf(x5c, anchors)),
    statusListFetcher: async (uri) => {
      const list = await (await fetch(uri, { headers: { accept: 'application/statuslist+jwt' } })).text()
      const signer = jose.decodeProtectedHeader(list)
      await jose.compactVerify(list, leafOf(signer.x5c, statusAnchors).publicKey)
      return list
    },
    statusVerifier: async () => true, // verified above, with the list's own certificate
    statusValidator: async (status) => {
      statuses.push(status)
      if (status !== 0) throw new Error(`status ${status}`)
    },
  })
  const { payload } = await reader.verify(credential)
  return { format: 'dc+sd-jwt', claims: payload, statuses, isBound: sameKey(payload.cnf.jwk, holder) }
}

async function checkedMdoc(credential, { holder, anchors }) {
  const now = new Date()
  await Holder.verifyIssuerSigned({ issuerSigned: credential, trustedCertificates: anchors.map(der), now }, context)
  const read = IssuerSigned.fromEncodedForOid4Vci(credential)
  const { docType, deviceKeyInfo, validityInfo } = read.issuerAuth.mobileSecurityObject
  const claims = {}
  for (const [nameSpace] of read.issuerNamespaces.issuerNamespaces) claims[nameSpace] = read.getPrettyClaims(nameSpace)
  return {
    format: 'mso_mdoc',
    docType,
    claims,
    validUntil: validityInfo.validUntil.toISOString(),
    isBound: sameKey(deviceKeyInfo.deviceKey.jwk, holder),
  }
}
