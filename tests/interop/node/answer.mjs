// What a wallet shows: `dcql` chooses among its credentials, @sd-jwt/sd-jwt-vc and @owf/mdoc make the presentations.
import { createPrivateKey, sign } from 'node:crypto'
import { CoseKey, DeviceResponse, DocRequest, IssuerSigned, ItemsRequest, SessionTranscript } from '@owf/mdoc'
import { SDJwtVcInstance } from '@sd-jwt/sd-jwt-vc'
import { DcqlQuery } from 'dcql'
import * as keys from './keys.mjs'
import { context } from './mdoc_context.mjs'

const reader = new SDJwtVcInstance({ hasher: keys.hash, hashAlg: 'sha-256' })

// a credential as the wallet keeps it, with what `dcql` looks at
export async function kept({ credential, holderKey }) {
  if (credential.includes('~')) {
    const claims = await reader.getClaims(credential)
    const seen = { credential_format: 'dc+sd-jwt', vct: claims.vct, claims, cryptographic_holder_binding: true }
    return { credential, holderKey, seen }
  }
  const issuerSigned = IssuerSigned.fromEncodedForOid4Vci(credential)
  const namespaces = {}
  for (const [name] of issuerSigned.issuerNamespaces.issuerNamespaces)
    namespaces[name] = issuerSigned.getPrettyClaims(name)
  const doctype = issuerSigned.issuerAuth.mobileSecurityObject.docType
  const seen = { credential_format: 'mso_mdoc', doctype, namespaces, cryptographic_holder_binding: true }
  return { credential, holderKey, seen }
}

// query id → the credential to show and the paths to disclose of it
export function chosen(dcqlQuery, shelf) {
  const query = DcqlQuery.parse(dcqlQuery)
  DcqlQuery.validate(query)
  const result = DcqlQuery.query(query, shelf.map((each) => each.seen))
  if (!result.can_be_satisfied) throw new Error('nothing here answers the question')
  const answers = new Map()
  for (const { id, claims } of query.credentials) {
    const { success, valid_credentials: valid } = result.credential_matches[id]
    if (!success) continue
    const { input_credential_index: index, claims: matched } = valid[0]
    const [{ valid_claim_indexes: asked }] = matched.valid_claim_sets
    answers.set(id, { held: shelf[index], paths: (asked ?? []).map((each) => claims[each].path) })
  }
  return answers
}

// session: nonce, audience, transcript, transactionData of this credential; bent: what to do otherwise than right
export async function presentation({ held, paths }, session, bent = {}) {
  const holderKey = bent.holderKey ?? held.holderKey
  return held.credential.includes('~')
    ? presentedSdJwt({ ...held, holderKey }, paths, session, bent)
    : presentedMdoc({ ...held, holderKey }, paths, session, bent)
}

async function presentedSdJwt({ credential, holderKey }, paths, { nonce, audience, transactionData }, bent) {
  const frame = {}
  for (const path of [...paths, ...(bent.alsoDisclose ?? [])]) {
    let at = frame
    for (const step of path.slice(0, -1)) at = at[step] ??= {}
    at[path.at(-1)] ??= true
  }
  const holder = new SDJwtVcInstance({
    hasher: keys.hash,
    hashAlg: 'sha-256',
    kbSignAlg: 'ES256',
    kbSigner: (data) => {
      const key = createPrivateKey({ key: holderKey, format: 'jwk' })
      return sign('sha256', Buffer.from(data), { key, dsaEncoding: 'ieee-p1363' }).toString('base64url')
    },
  })
  const payload = {
    iat: Math.floor(Date.now() / 1000) + (bent.age ?? 0),
    aud: bent.audience ?? audience,
    nonce: bent.nonce ?? nonce,
  }
  if (transactionData.length) {
    const hashed = bent.transactionData ?? transactionData
    payload.transaction_data_hashes = hashed.map((each) => keys.hash(each, 'sha-256').toString('base64url'))
  }
  const shown = await holder.present(credential, frame, bent.withoutKeyBinding ? undefined : { kb: { payload } })
  return bent.dropDisclosure ? shown.split('~').toSpliced(1, 1).join('~') : shown
}

async function presentedMdoc({ credential, holderKey }, paths, session, bent) {
  const { nonce, audience, thumbprint, responseUri, origin } = session
  const issuerSigned = IssuerSigned.fromEncodedForOid4Vci(credential)
  const { docType } = issuerSigned.issuerAuth.mobileSecurityObject
  const namespaces = {}
  for (const [name, element] of [...paths, ...(bent.alsoDisclose ?? [])]) (namespaces[name] ??= {})[element] = false
  const itemsRequest = ItemsRequest.create({ docType, namespaces })
  const deviceRequest = { docRequests: [DocRequest.create({ itemsRequest })] }
  const common = { nonce: bent.nonce ?? nonce, jwkThumbprint: bent.thumbprint === null ? undefined : thumbprint }
  const sessionTranscript = origin
    ? await SessionTranscript.forOid4VpDcApi({ ...common, origin: bent.audience ?? origin }, context)
    : await SessionTranscript.forOid4Vp(
        { ...common, clientId: bent.audience ?? audience, responseUri: bent.responseUri ?? responseUri },
        context,
      )
  const signingKey = CoseKey.fromJwk({ ...holderKey, alg: 'ES256' })
  const signature = { signingKey }
  const response = await DeviceResponse.createWithDeviceRequest(
    { deviceRequest, sessionTranscript, issuerSigned: [issuerSigned], signature },
    context,
  )
  return response.encodedForOid4Vp
}
