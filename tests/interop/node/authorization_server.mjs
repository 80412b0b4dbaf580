// The authorization server of the foreign issuer: @openid4vc/oauth2 judges requests and makes answers, in memory.
// Whoever comes to its page and agrees is the citizen. areAttested: whether wallets must have an attestation, or none of
// them authenticates.
import { randomBytes } from 'node:crypto'
import {
  Oauth2AuthorizationServer,
  Oauth2ServerErrorResponseError,
  parsePushedAuthorizationRequestUriReferenceValue,
} from '@openid4vc/oauth2'
import * as keys from './keys.mjs'

export const PRE_AUTHORIZED = 'urn:ietf:params:oauth:grant-type:pre-authorized_code'
const TOKEN_SECONDS = 600
const CODE_SECONDS = 60
const REQUEST_SECONDS = 90
const fresh = () => randomBytes(24).toString('base64url')
const later = (seconds) => new Date(Date.now() + seconds * 1000)
const refused = (error, description) => new Oauth2ServerErrorResponseError({ error, error_description: description })

export class AuthorizationServer {
  constructor(url, { providerAnchors, areAttested, scopes }) {
    this.url = url
    this.areAttested = areAttested
    this.scopes = scopes
    this.server = new Oauth2AuthorizationServer({ callbacks: keys.callbacks({ anchors: providerAnchors }) })
    this.pushed = new Map()
    this.codes = new Map()
    this.offered = new Map()
    this.metadata = this.server.createAuthorizationServerMetadata({
      issuer: url,
      authorization_endpoint: `${url}/authorize`,
      pushed_authorization_request_endpoint: `${url}/par`,
      require_pushed_authorization_requests: true,
      token_endpoint: `${url}/token`,
      jwks_uri: `${url}/jwks`,
      response_types_supported: ['code'],
      grant_types_supported: ['authorization_code', PRE_AUTHORIZED],
      code_challenge_methods_supported: ['S256'],
      authorization_response_iss_parameter_supported: true,
      dpop_signing_alg_values_supported: ['ES256'],
      ...(areAttested
        ? {
            token_endpoint_auth_methods_supported: ['attest_jwt_client_auth'],
            client_attestation_signing_alg_values_supported: ['ES256'],
            client_attestation_pop_signing_alg_values_supported: ['ES256'],
          }
        : {
            token_endpoint_auth_methods_supported: ['none'],
            'pre-authorized_grant_anonymous_access_supported': true,
          }),
    })
  }

  async start() {
    const { publicJwk } = await keys.newSigner()
    this.signer = { method: 'jwk', alg: 'ES256', kid: 'tokens', publicJwk: { ...publicJwk, kid: 'tokens' } }
    this.jwks = { keys: [{ ...publicJwk, kid: 'tokens', use: 'sig', alg: 'ES256' }] }
  }

  // what an offer's grant says; withTxCode: a code of six digits goes another way
  preAuthorize({ withTxCode }) {
    const code = fresh()
    const txCode = withTxCode ? String(randomBytes(4).readUInt32BE() % 1e6).padStart(6, '0') : undefined
    this.offered.set(code, { code, txCode, expiresAt: later(600) })
    return { code, txCode }
  }

  async push(request, form) {
    const parsed = await this.server.parsePushedAuthorizationRequest({ request, authorizationRequest: form })
    const { authorizationRequest } = parsed
    const verified = await this.server.verifyPushedAuthorizationRequest({
      request, authorizationRequest, authorizationServerMetadata: this.metadata,
      dpop: parsed.dpop && { ...parsed.dpop, allowedSigningAlgs: ['ES256'] },
      clientAttestation: this.#attested(parsed),
    })
    const { redirect_uri: back, code_challenge: challenge, code_challenge_method: method } = authorizationRequest
    if (!back || !challenge || method !== 'S256') throw refused('invalid_request', 'redirect_uri and PKCE are needed')
    if (authorizationRequest.response_type !== 'code') throw refused('unsupported_response_type', 'code is')
    const reference = fresh()
    const dpopJkt = verified.dpop?.jwkThumbprint
    this.pushed.set(reference, { ...authorizationRequest, dpopJkt, expiresAt: later(REQUEST_SECONDS) })
    const requestUri = `urn:ietf:params:oauth:request_uri:${reference}`
    const made = this.server.createPushedAuthorizationResponse({ expiresInSeconds: REQUEST_SECONDS, requestUri })
    return made.pushedAuthorizationResponse
  }

  // the request behind the page's address
  pending({ client_id: clientId, request_uri: uri }) {
    const reference = parsePushedAuthorizationRequestUriReferenceValue({ uri: uri ?? '' })
    const found = this.pushed.get(reference)
    if (!found || found.client_id !== clientId || found.expiresAt < new Date())
      throw refused('invalid_request', 'no such request')
    return { reference, found }
  }

  #attested = ({ clientAttestation }) => (this.areAttested ? { ...clientAttestation, required: true } : undefined)

  // where the browser goes after the citizen decided
  decided(query, decision) {
    const { reference, found } = this.pending(query)
    this.pushed.delete(reference)
    const answer = new URL(found.redirect_uri)
    answer.searchParams.set('iss', this.url)
    if (found.state) answer.searchParams.set('state', found.state)
    if (decision !== 'approve') answer.searchParams.set('error', 'access_denied')
    else {
      const code = fresh()
      this.codes.set(code, { ...found, code, expiresAt: later(CODE_SECONDS) })
      answer.searchParams.set('code', code)
    }
    return answer.toString()
  }

  async token(request, form) {
    const parsed = this.server.parseAccessTokenRequest({ request, accessTokenRequest: form })
    const { grant, accessTokenRequest } = parsed
    const common = {
      grant, accessTokenRequest, request, authorizationServerMetadata: this.metadata,
      dpop: { ...parsed.dpop, required: true, allowedSigningAlgs: ['ES256'] },
      clientAttestation: this.#attested(parsed),
    }
    const { verified, subject, scope, clientId } = await (grant.grantType === PRE_AUTHORIZED
      ? this.#preAuthorized(common, grant)
      : this.#byCode(common, grant, parsed.pkceCodeVerifier))
    const { sub } = verified.clientAttestation?.clientAttestation.payload ?? {}
    return this.server.createAccessTokenResponse({
      audience: this.url, authorizationServer: this.url, expiresInSeconds: TOKEN_SECONDS, signer: this.signer,
      subject, scope, clientId: sub ?? clientId, dpop: verified.dpop,
      additionalAccessTokenResponsePayload: { scope },
    })
  }

  async #preAuthorized(common, grant) {
    const offered = this.offered.get(grant.preAuthorizedCode)
    const verified = await this.server.verifyPreAuthorizedCodeAccessTokenRequest({
      ...common,
      expectedPreAuthorizedCode: offered?.code ?? 'none',
      expectedTxCode: offered?.txCode,
      preAuthorizedCodeExpiresAt: offered?.expiresAt,
    })
    this.offered.delete(grant.preAuthorizedCode)
    return { verified, subject: grant.preAuthorizedCode, scope: this.scopes.join(' ') }
  }

  async #byCode(common, grant, codeVerifier) {
    const known = grant.code ? this.codes.get(grant.code) : undefined
    const { clientAttestation } = common
    const verified = await this.server.verifyAuthorizationCodeAccessTokenRequest({
      ...common,
      expectedCode: known?.code ?? 'none',
      codeExpiresAt: known?.expiresAt,
      dpop: { ...common.dpop, expectedJwkThumbprint: known?.dpopJkt },
      clientAttestation: clientAttestation && { ...clientAttestation, expectedClientId: known?.client_id },
      pkce: { codeChallenge: known?.code_challenge, codeChallengeMethod: known?.code_challenge_method, codeVerifier },
    })
    if (known.redirect_uri !== common.accessTokenRequest.redirect_uri)
      throw refused('invalid_grant', 'another redirect_uri')
    this.codes.delete(grant.code)
    const asked = (known.scope ?? '').split(' ').filter((each) => this.scopes.includes(each))
    return { verified, subject: grant.code, scope: asked.join(' '), clientId: known.client_id }
  }
}
