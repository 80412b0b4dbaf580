// What @owf/mdoc asks its host for: digests, signatures, and judging certificates. No MACs are made or checked here.
import { createHash, createPrivateKey, createPublicKey, randomBytes, sign, verify, X509Certificate } from 'node:crypto'
import { CoseKey } from '@owf/mdoc'
import { leafOf } from './keys.mjs'

const DIGESTS = { 'P-256': 'sha256', 'P-384': 'sha384', 'P-521': 'sha512' }
const raw = (key, read) => ({ key: read({ key: key.jwk, format: 'jwk' }), dsaEncoding: 'ieee-p1363' })
const unused = () => {
  throw new Error('no MAC is made or checked here')
}

export const context = {
  crypto: {
    random: (length) => randomBytes(length),
    digest: ({ digestAlgorithm, bytes }) => createHash(digestAlgorithm.replace('-', '')).update(bytes).digest(),
    calculateEphemeralMacKey: unused,
  },
  cose: {
    sign1: {
      sign: ({ toBeSigned, key }) => sign(DIGESTS[key.jwk.crv], toBeSigned, raw(key, createPrivateKey)),
      verify: ({ key, sign1 }) =>
        verify(DIGESTS[key.jwk.crv], sign1.toBeSigned, raw(key, createPublicKey), sign1.signature),
    },
    mac0: { sign: unused, verify: unused },
  },
  x509: {
    getIssuerNameField: ({ certificate, field }) => {
      const parts = new X509Certificate(certificate).issuer.split('\n').map((line) => line.split(/=(.*)/s))
      return parts.filter(([name]) => name === field).map(([, value]) => value)
    },
    getPublicKey: ({ certificate }) => {
      const jwk = new X509Certificate(certificate).publicKey.export({ format: 'jwk' })
      return CoseKey.fromJwk(jwk)
    },
    verifyCertificateChain: ({ trustedCertificates, x5chain }) => {
      leafOf(x5chain, trustedCertificates)
    },
    getCertificateData: ({ certificate }) => {
      const read = new X509Certificate(certificate)
      return {
        issuerName: read.issuer,
        subjectName: read.subject,
        serialNumber: read.serialNumber,
        thumbprint: read.fingerprint256,
        notBefore: new Date(read.validFrom),
        notAfter: new Date(read.validTo),
        pem: read.toString(),
      }
    },
  },
}
